"""Windows with labels and features -> files of other formats, for those who train elsewhere."""
