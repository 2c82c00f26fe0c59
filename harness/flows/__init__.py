"""What a person asks for, one short file each. The only code that strings rooms together; read `measure.py` first."""
