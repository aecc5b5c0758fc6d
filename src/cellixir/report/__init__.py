"""Pages: the self-contained HTML report and the sections that every job shares."""
