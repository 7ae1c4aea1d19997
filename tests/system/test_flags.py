"""Help texts: defaults as they are typed, and lines that stay as they are."""

import argparse

import pytest
import torch

from utils.system.flags import as_typed, natural_number, new_parser, seed_number, share, whole_number


@pytest.mark.parametrize(
    ("default", "typed"),
    [
        (tuple(range(2, 26)), "2-25"),
        ((3, 21, 22, 23), "3,21-23"),
        ((7,), "7"),
        ((22, 21, 3), "3,21-22"),
        (["T1w", "T2w"], "T1w T2w"),
        ([0.75, 0.1, 0.15], "0.75 0.1 0.15"),
        (4.0, "4.0"),
    ],
)
def test_a_default_is_shown_as_it_is_typed(default, typed):
    assert as_typed(default) == typed


def test_help_shows_defaults_and_ends_with_the_example():
    parser = new_parser("What it does.\n\nMore of it.", 'python x.py --rate "50 %"')
    parser.add_argument("--rate", default="50 %", help="how much")
    parser.add_argument("--device", help="which (default: the first)")
    parser.add_argument("--windows", nargs="+", default=[], help="none as a rule")
    parser.add_argument("--fast", action="store_true", help="in a hurry")
    text = parser.format_help()
    assert "\n\nWhat it does.\n\nMore of it.\n\n" in text
    assert "how much (default: 50 %)\n" in text
    assert "which (default: the first)\n" in text
    assert "none as a rule\n" in text and "in a hurry\n" in text
    assert text.endswith('\n\nexample:\n  python x.py --rate "50 %"\n')


@pytest.mark.parametrize("text", ["-1", "1.5", "x", ""])
def test_whole_numbers(text):
    assert whole_number("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="not a whole number"):
        whole_number(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", ""])
def test_natural_numbers(text):
    assert natural_number("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="not a whole number of 1 or more"):
        natural_number(text)


def test_seeds():
    assert (seed_number("0"), seed_number("18446744073709551615")) == (0, 2**64 - 1)
    torch.Generator().manual_seed(2**64 - 1)
    for text, reason in (("18446744073709551616", "not below 2"), ("-1", "not a whole number")):
        with pytest.raises(argparse.ArgumentTypeError, match=reason):
            seed_number(text)


def test_shares():
    assert (share("0"), share("0.25"), share("1")) == (0, 0.25, 1)
    for text in ("-0.1", "5", "nan", "inf", "a tenth"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"{text} is not a number from 0 to 1"):
            share(text)
