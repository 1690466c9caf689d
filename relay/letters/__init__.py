"""The stored form of mail: what the bytes in Redis mean, and the steps that keep index, letters and counts together."""
