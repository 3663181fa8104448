"""The mistakes that are made, and the list of those that change nothing."""

import re
from types import FunctionType

from tests.mutants import equivalent, python, sql
from tests.mutants.mutant import Mutant, numbered, sample

SQL = """CREATE OR REPLACE FUNCTION billing.take(o billing.organizations, p_usd numeric)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    -- Not a mistake: a < b.
    PERFORM pg_advisory_xact_lock(7);
    IF p_usd > o.balance_usd - o.held_usd AND o.at IS NULL THEN
        RETURN false;
    END IF;
    UPDATE billing.organizations SET balance_usd = 'a < b', held_usd = 0
    WHERE id = o.id AND at BETWEEN p_from AND p_to;
    SELECT * INTO t FROM billing.holds WHERE amount_usd <> 0 FOR UPDATE SKIP LOCKED;
    RETURN CASE WHEN t.id IS NOT NULL OR p_usd < 1 THEN true END;
END $$;
"""
PYTHON = """
class Purse:
    limit = 3

    def take(self, amount: int) -> int:
        if amount < 0 or self.closed:
            raise ValueError
        return -sum(part + 1 for part in self.parts if part)
"""


def changes(mutants: list[Mutant]) -> set[tuple[str, str]]:
    found = [(mutant.kind, re.search(r"\[(.*)\]", mutant.change)) for mutant in mutants]
    return {(kind, change[1]) for kind, change in found if change}


def test_each_part_of_an_sql_function_has_its_mistakes() -> None:
    assert changes(sql.mutants_of("a.sql", "take", SQL)) == {
        ("comparison", "> -> >="),
        ("comparison", "IS NULL -> IS NOT NULL"),
        ("comparison", "IS NOT NULL -> IS NULL"),
        ("comparison", "= -> <>"),
        ("comparison", "<> -> ="),
        ("comparison", "< -> <="),
        ("sign", "- -> +"),
        ("boundary", "0 -> 1"),
        ("boundary", "1 -> 2"),
        ("boundary", "7 -> 8"),
        ("boundary", "false -> true"),
        ("boundary", "true -> false"),
        ("guard", "p_usd > o.balance_usd - o.held_usd -> true"),
        ("guard", "o.at IS NULL -> true"),
        ("guard", "p_usd > o.balance_usd - o.held_usd AND o.at IS NULL -> false"),
        ("guard", "id = o.id -> true"),
        ("guard", "at BETWEEN p_from AND p_to -> true"),
        ("guard", "amount_usd <> 0 -> true"),
        ("guard", "t.id IS NOT NULL OR p_usd < 1 -> false"),
        ("guard", "t.id IS NOT NULL -> false"),
        ("guard", "p_usd < 1 -> false"),
        ("lock", "PERFORM pg_advisory_xact_lock(7); -> "),
        ("lock", "FOR UPDATE SKIP LOCKED -> "),
        ("lock", "SKIP LOCKED -> "),
        ("column", "balance_usd -> held_usd"),
        ("column", "held_usd -> balance_usd"),
    }


def test_each_part_of_a_python_function_has_its_mistakes() -> None:
    assert changes(python.mutants_of("a.py", PYTHON)) == {
        ("comparison", "< -> <="),
        ("boundary", "0 -> 1"),
        ("boundary", "1 -> 2"),
        ("guard", "amount < 0 or self.closed -> False"),
        ("guard", "amount < 0 -> False"),
        ("guard", "self.closed -> False"),
        ("guard", "part -> True"),
        ("sign", "- -> "),
        ("sign", "+ -> -"),
    }


def test_a_mutant_is_its_function_with_one_mistake() -> None:
    for mutant in sql.mutants_of("a.sql", "take", SQL):
        changed = [
            (before, after)
            for before, after in zip(SQL.split("\n"), mutant.source.split("\n"), strict=False)
            if before != after
        ]
        assert len(changed) == 1, mutant.change


def test_a_function_that_lives_gets_the_mistake() -> None:
    filename = str(python.CORE / "a.py")
    source = "def low(balance):\n    return balance < 5\n"
    names: dict[str, FunctionType] = {}
    exec(compile(source, filename, "exec"), names)
    low = names["low"]
    assert not low(5)
    mutant = next(m for m in python.mutants_of("a.py", source) if m.kind == "comparison")
    assert python.put(mutant)
    assert low(5)


def test_the_same_change_in_another_place_has_another_name() -> None:
    mutant = Mutant("a.sql", "f", "sign", 1, "a [+ -> -] b", "")
    names = [found.change for found in numbered([mutant, mutant])]
    assert names == ["a [+ -> -] b", "a [+ -> -] b (2)"]


def test_a_seed_chooses_the_same_sample_again() -> None:
    mutants = sql.mutants_of("a.sql", "take", SQL)
    assert sample(mutants, 3, seed=1) == sample(mutants, 3, seed=1)
    assert sample(mutants, 3, seed=1) != sample(mutants, 3, seed=2)
    assert sorted(sample(mutants, None, seed=1)) == sorted(mutants)


def test_each_mistake_that_is_listed_as_equivalent_can_still_be_made() -> None:
    made = {mutant.key for mutant in (*sql.mutants(), *python.mutants())}
    assert not equivalent.listed() - made
