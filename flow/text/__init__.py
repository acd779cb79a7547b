"""Texts: what two people changed, Markdown as HTML, titles of pages. No clock, no database."""
