"""Modules of exercises, imported; those of other packages end nothing, and print to stderr."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import FrameType, ModuleType
from typing import Any

from mobility.catalogue.exercise_folders import PACKAGE, in_short
from mobility.errors import BadInputError, WorkerError


class _Part:
    """Functions of one kind of an exercise: its own, else those of what it is like."""

    def __init__(self, modules: tuple[ModuleType, ...]) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        for module in self._modules:
            if hasattr(module, name):
                value = getattr(module, name)
                ours = not callable(value) or module.__name__.startswith(f"{PACKAGE}.")
                return value if ours else quiet(value)
        raise AttributeError(f"{self._modules[0].__name__} has no {name}, nor what it is like")


@functools.cache
def part(packages: tuple[str, ...], name: str) -> _Part:
    """Give the functions of a module of an exercise, else of what it is like."""
    modules = [f"{package}.{name}" for package in packages]
    return _Part(tuple(imported(module) for module in modules if find_spec(module)))


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of another package print to standard error."""

    @functools.wraps(function)
    def quiet(*args: Any, **options: Any) -> Any:
        with _to_stderr():
            try:
                return function(*args, **options)
            except SystemExit as error:  # it would end whatever command asked
                what = f"{function.__module__}.{function.__name__}"
                raise WorkerError(f"{what}: raised SystemExit({error.code})") from error

    return quiet


_print_lock, _printers, _stdout = threading.Lock(), 0, sys.stdout


@contextmanager
def _to_stderr() -> Iterator[None]:
    """Let what is printed go to standard error, until the last of all threads that asked ends."""
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

    One of another package ends nothing, whatever it raises, and prints to standard error.
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
    if interrupts:  # the module kept the interrupt for itself
        raise KeyboardInterrupt
    if imported.__file__ is None:
        raise BadInputError(f"{module}: has no __init__.py")
    return imported


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Note interrupts by a user, which no ``KeyboardInterrupt`` that a module raises is."""
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
