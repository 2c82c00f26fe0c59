"""Blocks to text."""
