"""Choose one of the students by what it is on dev."""

from typing import Any, Dict, List, Optional

from ..common.console import UserError
from .settings import StudentRequirements


def choose_student(requirements: StudentRequirements, students: List[Dict[str, Any]]) -> Optional[str]:
    """Choose the student with the best F1 that is fast enough, or the fastest whose F1 is good enough.

    requirements (StudentRequirements): The demands; if there is one on the speed, the best F1 decides among those that
        meet all.
    students (List[Dict[str, Any]]): Their rows: "name", "speedup" and "dev" with its "drop" and "ents_f".
    RETURNS (Optional[str]): The name of one, None if nothing is required.
    RAISES (UserError): If none meets the demands.
    """
    if requirements == StudentRequirements():
        return None
    suited = [row for row in students if meets(requirements, row)]
    if not suited:
        raise UserError(f"No student {describe(requirements)}. {describe_nearest(students)}")
    if requirements.target_speed is not None:
        return max(suited, key=lambda row: (row["dev"]["ents_f"], row["speedup"]))["name"]
    return max(suited, key=lambda row: (row["speedup"], row["dev"]["ents_f"]))["name"]


def meets(requirements: StudentRequirements, row: Dict[str, Any]) -> bool:
    """Tell whether a student meets all demands."""
    target_speed, max_f1_drop = requirements
    fast_enough = target_speed is None or row["speedup"] >= target_speed
    return fast_enough and (max_f1_drop is None or row["dev"]["drop"] <= max_f1_drop)


def describe(requirements: StudentRequirements) -> str:
    """Say what a student that meets all demands does."""
    parts = []
    if requirements.target_speed is not None:
        parts.append(f"is {requirements.target_speed:g} times as fast as the compiled teacher")
    if requirements.max_f1_drop is not None:
        parts.append(f"loses at most {requirements.max_f1_drop:g} F1 on dev")
    return " and ".join(parts)


def describe_nearest(students: List[Dict[str, Any]]) -> str:
    """Say what could be asked for."""
    fastest = max(students, key=lambda row: row["speedup"])
    best = min(students, key=lambda row: row["dev"]["drop"])
    return (
        f"The fastest, {fastest['name']}, is {fastest['speedup']:.2f} times as fast; the best, {best['name']}, loses "
        f"{best['dev']['drop']:.4f}. Ask for less, or train others with --layers or more --text."
    )
