"""How the rows of one vocabulary's embedding correspond to another's.

A token that both know by the same string keeps its row. One that only the new vocabulary has
starts as the mean of the rows of the source's tokens that spell it, which is far nearer to what it
means than random values are (docs/methods/weight_transfer.md has the figures).
"""

from __future__ import annotations

from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizer import Tokenizer


def token_rows(source: TextTokenizer, target: TextTokenizer) -> list[list[int]] | None:
    """For each id of the target's vocabulary, the source's rows whose mean its row starts as.

    One row: both know the token by the same string (or it is what ends a document in both). None:
    the source has nothing to make it of, as always where a word piece is not known.

    Returns:
        None where strings mean different things in the two (bytes and word pieces).
    """
    bytes_of_both = [isinstance(one, Tokenizer) for one in (source, target)]
    if bytes_of_both[0] != bytes_of_both[1]:
        return None
    known, rows = source.vocabulary, []
    for number in range(target.size):
        string = target.token_string(number)
        if isinstance(source, Tokenizer) and number == getattr(target, "end_of_text", None):
            rows.append([source.end_of_text])
        elif string in known:
            rows.append([known[string]])
        elif isinstance(source, Tokenizer):
            rows.append(source.pieces(string) if string else [])
        else:
            rows.append([])
    return rows
