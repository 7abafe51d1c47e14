"""The command line: a program that speaks to a portal over HTTP, by AutomationClient alone."""
