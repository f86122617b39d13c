"""The platform's services of today: FastStream over Redis Streams, CloudEvents 1.0 as JSON.

publish URL STREAM_KEY        reads one JSON object a line, `{"event": {...}, "headers": {...}}`, and publishes the event
subscribe URL STREAM_KEY GROUP COUNT
                              prints, as JSON with sorted keys, what a subscriber of the group gets, and ends after COUNT
                              events or, without success, after half a minute
FASTSTREAM_FORMAT=json has a FastStream that still has both message formats use the older one.
"""

import asyncio
import json
import os
import sys
from datetime import datetime
from typing import Any

from faststream import FastStream
from faststream.redis import RedisBroker, RedisMessage, StreamSub
from pydantic import BaseModel


class CloudEvent(BaseModel):
    source: str
    type: str
    id: str
    specversion: str = "1.0"
    time: datetime
    data: Any = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None


def broker(url: str) -> RedisBroker:
    if os.environ.get("FASTSTREAM_FORMAT") == "json":
        from faststream.redis import JSONMessageFormat

        return RedisBroker(url, message_format=JSONMessageFormat, logger=None)
    return RedisBroker(url, logger=None)


async def publish(url: str, stream_key: str) -> None:
    async with broker(url) as connected:
        for line in sys.stdin:
            given = json.loads(line)
            await connected.publish(
                CloudEvent(**given["event"]), stream=stream_key, headers=given.get("headers"), correlation_id="corr-1"
            )


async def subscribe(url: str, stream_key: str, group: str, count: str) -> None:
    connection = broker(url)
    application = FastStream(connection, logger=None)
    left = int(count)

    @connection.subscriber(stream=StreamSub(stream_key, group=group, consumer="python", last_id=">"))
    async def handle(event: CloudEvent, message: RedisMessage) -> None:
        nonlocal left
        printed = {"event": event.model_dump(mode="json"), "headers": dict(message.headers)}
        print(json.dumps(printed, sort_keys=True), flush=True)
        left -= 1
        if left == 0:
            application.exit()

    await asyncio.wait_for(application.run(), 30)


if __name__ == "__main__":
    asyncio.run({"publish": publish, "subscribe": subscribe}[sys.argv[1]](*sys.argv[2:]))
