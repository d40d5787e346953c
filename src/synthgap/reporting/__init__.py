"""From what students wrote to what a reader sees: records, figures, tables, one page."""
