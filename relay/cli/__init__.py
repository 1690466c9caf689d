"""The relay command, one file a verb."""
