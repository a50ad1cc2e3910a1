"""Rendering: executed notebooks become pages."""
