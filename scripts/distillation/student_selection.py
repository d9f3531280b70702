"""Pick one of the students by what it is on dev."""

from typing import Any, Dict, List, NamedTuple, Optional

from ..common.console import UserError


class Wish(NamedTuple):
    """What a student must be, in comparison with the compiled teacher. None for no demand."""

    target_speed: Optional[float] = None  # words a second, times the teacher's
    max_f1_drop: Optional[float] = None  # entity F1 on dev, between 0 and 1

    def __bool__(self) -> bool:
        return self != (None, None)


def choose_student(wish: Wish, students: List[Dict[str, Any]]) -> Optional[str]:
    """Choose the student with the best F1 that is fast enough, or the fastest whose F1 is good enough.

    wish (Wish): The demands; if there is one on the speed, the best F1 decides among those that meet all.
    students (List[Dict[str, Any]]): Their rows: "name", "speedup" and "dev" with its "drop" and "ents_f".
    RETURNS (Optional[str]): The name of one, None if nothing was wished for.
    RAISES (UserError): If none meets the demands.
    """
    if not wish:
        return None
    suited = [row for row in students if suits(wish, row)]
    if not suited:
        raise UserError(f"No student {describe(wish)}. {describe_nearest(wish, students)}")
    if wish.target_speed is not None:
        return max(suited, key=lambda row: (row["dev"]["ents_f"], row["speedup"]))["name"]
    return max(suited, key=lambda row: (row["speedup"], row["dev"]["ents_f"]))["name"]


def suits(wish: Wish, row: Dict[str, Any]) -> bool:
    fast_enough = wish.target_speed is None or row["speedup"] >= wish.target_speed
    return fast_enough and (wish.max_f1_drop is None or row["dev"]["drop"] <= wish.max_f1_drop)


def describe(wish: Wish) -> str:
    parts = []
    if wish.target_speed is not None:
        parts.append(f"is {wish.target_speed:g} times as fast as the compiled teacher")
    if wish.max_f1_drop is not None:
        parts.append(f"loses at most {wish.max_f1_drop:g} F1 on dev")
    return " and ".join(parts)


def describe_nearest(wish: Wish, students: List[Dict[str, Any]]) -> str:
    """RETURNS (str): What could be wished for."""
    fastest = max(students, key=lambda row: row["speedup"])
    best = min(students, key=lambda row: row["dev"]["drop"])
    return (
        f"The fastest, {fastest['name']}, is {fastest['speedup']:.2f} times as fast; the best, {best['name']}, loses "
        f"{best['dev']['drop']:.4f}. Ask for less, or train others with --layers or more --text."
    )
