"""The promises in figures: more harm than a test has time for, run by hand."""
