"""As in English: dates and times are written by their size, and a number is written as in the figures beside it."""

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s T"
# Numbers of templates also stand in drawings, where a comma would begin another one.
DECIMAL_SEPARATOR = "."
