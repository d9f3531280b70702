"""Errors without a traceback."""

import pytest

from scripts.common.console import UserError, exit_on_user_error


def test_user_error_is_printed_and_exits_with_1(capsys):
    with pytest.raises(SystemExit) as raised:
        with exit_on_user_error():
            raise UserError("There is no water in the pool. Fill it.")
    assert raised.value.code == 1
    output = capsys.readouterr()
    assert "There is no water in the pool. Fill it." in output.out
    assert "Traceback" not in output.out + output.err


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        with exit_on_user_error():
            raise ZeroDivisionError()


def test_no_error_no_exit(capsys):
    with exit_on_user_error():
        pass
    assert capsys.readouterr().out == ""
