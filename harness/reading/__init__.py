"""Files that people bring, read so that whatever is wrong with one is said with its line."""
