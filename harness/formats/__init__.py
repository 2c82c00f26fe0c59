"""How files of others are read: llama-bench output and logs of every age, GGUF, YAML and JSON with errors."""
