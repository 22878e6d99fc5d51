"""Lets pysesame3, which people use for these locks, work against the emulator.

    python sdk_sesame.py BASE_URL

Needs `pip install "pysesame3[cognito]"`: without that extra the library cannot be imported, since annotations of its code for the
app's own channel name modules of it. Nothing of that channel is used here. Its address is a constant, which is set behind its
back. Prints "ok", or fails with what was not as it should be.
"""

import json
import logging
import sys
import time
import urllib.request

import pysesame3.cloud
from pysesame3.auth import WebAPIAuth
from pysesame3.chsesame2 import CHSesame2
from pysesame3.chsesamebot import CHSesameBot
from pysesame3.history import CHSesame2History

API = sys.argv[1]
BASE = API.removesuffix("/api/sesame2")
pysesame3.cloud.OFFICIALAPI_URL = API
# What is refused on purpose is not to be told.
logging.disable(logging.CRITICAL)

KEY = "sesame_sandbox_api_key_00000000000000000"
DOOR = "11223344-5566-7788-99AA-BBCCDDEEFF00"
BOT = "99AABBCC-DDEE-FF00-1122-334455667788"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
Kind = CHSesame2History.EventType


def control(what, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{BASE}/_sandbox/{what}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def device(name):
    return control("state")["devices"][name]


def eventually(what, holds):
    patience = time.monotonic() + 150
    while not holds():
        assert time.monotonic() < patience, f"never happened: {what}"
        time.sleep(0.02)


def refused(status, call):
    try:
        call()
    except RuntimeError as error:
        assert str(error).startswith(str(status)), error
    else:
        raise AssertionError(f"{status} was expected")


door = CHSesame2(WebAPIAuth(KEY), DOOR, SECRET)
status = door.mechStatus
assert status.isInLockRange() and not status.isInUnlockRange(), status
assert status.getBatteryPercentage() == 94 and status.getPosition() == 11, status

# Accepted is not moved: the motor needs a moment.
assert door.unlock(history_tag="ドラえもん")
eventually("it is unlocked", lambda: door.mechStatus.isInUnlockRange())
entries = door.historyEntries
assert [entry.event_type for entry in entries] == [Kind.driveUnlocked, Kind.webUnLock], entries
assert [entry.record_id for entry in entries] == [2, 1]
assert door.lock()
eventually("it is locked", lambda: door.mechStatus.isInLockRange())
assert device(DOOR)["accepted"] == 2

# The service refuses what another secret has signed, with a status of success that the library takes for one.
stranger = CHSesame2(WebAPIAuth(KEY), DOOR, "00" * 16)
assert stranger.unlock()
assert device(DOOR)["accepted"] == 2

bot = CHSesameBot(WebAPIAuth(KEY), BOT, SECRET)
assert bot.click(history_tag="press")
assert device(BOT)["accepted"] == 1

# A module that is away, and nobody's device.
control("events", {"type": "offline", "answer": 404})
assert not door.unlock()
control("events", {"type": "online"})
refused(404, lambda: CHSesame2(WebAPIAuth(KEY), DOOR.replace("11", "12"), SECRET))
# A wrong key and one without calls look the same.
refused(403, lambda: CHSesame2(WebAPIAuth("another" + KEY[7:]), DOOR, SECRET))
control("events", {"type": "quota", "limit": 1000, "used": 1000})
refused(403, lambda: door.mechStatus)
assert not door.lock()
assert device(DOOR)["accepted"] == 2
control("events", {"type": "quota", "limit": 1000})
assert door.mechStatus.isInLockRange()

print("ok")
