"""The platform's side of the wire: the event model and the Redis calls of ADR-018, with redis-py and pydantic.

publish URL STREAM_KEY        reads one JSON object of Event arguments a line and adds each to the stream
consume URL STREAM_KEY GROUP  prints and acknowledges, as JSON with sorted keys, what the group has not had, and ends
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import redis
from pydantic import BaseModel, Field


class Event(BaseModel, frozen=True):
    version: int = 1
    event_type: str
    source: str
    timestamp: datetime = Field(default_factory=lambda: datetime.now(tz=UTC))
    payload: dict[str, Any] = Field(default_factory=dict)


def publish(url: str, stream_key: str) -> None:
    client = redis.Redis.from_url(url)
    for line in sys.stdin:
        event = Event(**json.loads(line))
        client.xadd(stream_key, {"event": event.model_dump_json()})


def consume(url: str, stream_key: str, group: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True, protocol=2)
    try:
        client.xgroup_create(stream_key, group, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    while answer := client.xreadgroup(group, "python", {stream_key: ">"}, count=100):
        [(_, entries)] = answer
        for entry_id, fields in entries:
            event = Event.model_validate_json(fields["event"])
            headers = {name: value for name, value in fields.items() if name != "event"}
            print(json.dumps({"event": event.model_dump(mode="json"), "headers": headers}, sort_keys=True))
            client.xack(stream_key, group, entry_id)


if __name__ == "__main__":
    {"publish": publish, "consume": consume}[sys.argv[1]](*sys.argv[2:])
