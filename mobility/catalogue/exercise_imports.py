"""Import the modules and classes of exercises; those of other packages cannot end the program."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isfunction, signature
from types import FrameType, ModuleType
from typing import Any

from mobility.base.options import likely
from mobility.catalogue.exercise_folders import PACKAGE, in_short
from mobility.errors import BadInputError, WorkerError


class OfExercise:
    """Base class of everything that the folder of an exercise defines as a class.

    Methods of a class from another package must accept the arguments of the methods that they
    replace, and what they print goes to standard error. For classes in this package, the type
    checker checks the arguments.
    """

    def __init_subclass__(cls) -> None:
        """Check the methods of another package, and send what they print to standard error."""
        super().__init_subclass__()
        if cls.__module__.startswith("mobility."):
            return
        for name, method in [*vars(cls).items()]:
            if isfunction(method):
                _check_method(cls, name, method)
                setattr(cls, name, quiet(method))


def _check_method(cls: type, name: str, method: Callable[..., Any]) -> None:
    usual, what = getattr(super(cls, cls), name, None), f"{cls.__name__}: method {name!r}"
    if isfunction(usual) and [*signature(method).parameters] != (
        takes := [*signature(usual).parameters]
    ):
        raise BadInputError(f"{what}: must accept ({', '.join(takes)})")
    inherited = [other for other in dir(cls) if other not in vars(cls) and other[0] != "_"]
    if usual is None and name[0] != "_" and (meant := likely(name, inherited)):
        raise BadInputError(f"{what}: unknown{meant}")


def class_in(module: str, base: type) -> Any:
    """Return the last class of a kind that a module defines; None if there is none."""
    defined = vars(imported(module)).values()
    classes = [each for each in defined if isinstance(each, type) and issubclass(each, base)]
    return next((each for each in reversed(classes) if each.__module__ == module), None)


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of another package print to standard error."""

    @functools.wraps(function)
    def quiet(*args: Any, **options: Any) -> Any:
        with _to_stderr():
            try:
                return function(*args, **options)
            except SystemExit as error:  # it would end the command that called it
                what = f"{function.__module__}.{function.__name__}"
                raise WorkerError(f"{what}: raised SystemExit({error.code})") from error

    return quiet


_print_lock, _printers, _stdout = threading.Lock(), 0, sys.stdout


@contextmanager
def _to_stderr() -> Iterator[None]:
    """Send printed text to standard error, until the last thread that asked for it ends."""
    global _printers, _stdout
    with _print_lock:
        if not _printers:
            _stdout, sys.stdout = sys.stdout, sys.stderr
        _printers += 1
    try:
        yield
    finally:
        with _print_lock:
            _printers -= 1
            if not _printers:
                sys.stdout = _stdout


def imported(module: str) -> ModuleType:
    """Import a module of an exercise.

    A module of another package cannot end the program, whatever it raises, and prints to standard
    error.
    """
    if module.startswith(f"{PACKAGE}."):
        return import_module(module)
    with _ctrl_c() as interrupts, _to_stderr():
        try:
            imported = import_module(module)
        except BaseException as error:
            if interrupts:
                raise KeyboardInterrupt from None
            raise BadInputError(f"{module} cannot be imported: {in_short(error)}") from error
    if interrupts:  # the module swallowed the interrupt
        raise KeyboardInterrupt
    if imported.__file__ is None:
        raise BadInputError(f"{module}: has no __init__.py")
    return imported


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Record interrupts by the user, not a ``KeyboardInterrupt`` that a module raises."""
    noted: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, usual)
