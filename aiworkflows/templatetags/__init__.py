"""What templates of every part may show of proposals."""
