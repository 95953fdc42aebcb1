"""Expressions and splits in the spellings of the databases."""

CONTEMPT = "contempt"
"""The eighth expression of some databases, which the paper's protocols leave out."""

_SPELLINGS = {
    "angry": "anger angered ang an",
    "disgust": "disgusted disgusting dis di",
    "fear": "fearful afraid scared fea fe af",
    "happy": "happiness smile smiling joy joyful hap ha",
    "sad": "sadness sa",
    "surprise": "surprised sur su",
    "neutral": "neutrality neu ne",
    CONTEMPT: "contemptuous con",
}
_NAME_OF = {
    word: name for name, words in _SPELLINGS.items() for word in (name, *words.split())
}
_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def expression(word: str) -> str | None:
    """What an expression is called here.

    Args:
      word: a label or a folder's name, in upper or lower case, with or without blanks
        around it: an adjective, a noun, or the two or three letters of file names.

    Returns:
      Its name in `EXPRESSIONS`, or `CONTEMPT`; None for any other word.
    """
    return _NAME_OF.get(word.strip().casefold())


def split_of(word: str) -> str | None:
    """`train`, `validation` or `test`, whichever a folder's name means; else None."""
    return _SPLITS.get(word.casefold())
