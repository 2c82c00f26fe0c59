"""A benchmark harness for llama.cpp in containers: matrix file in, proven records and reports out."""

__version__ = "0.1.0"
