"""What it needs: images (build, pull, facts) and models (fetch, verify, synthesize)."""
