"""Other servers under the same load, in the same run: `python -m bench --peers`."""
