"""The frame of the AI service where it is a process group of its own (OPSPORTAL_ROLE=ai)."""
