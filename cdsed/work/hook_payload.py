"""What hooks are given: JSON for programs and webhooks, text for people."""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from cdsed.clock import iso
from cdsed.config.event_hooks import MailTarget
from cdsed.frozen import frozen
from cdsed.store.outbox import OutboxEvent

SCHEMA = 1
_PRODUCTS_SHOWN = 50
_LISTINGS_SHOWN = 50
_TITLES = {
    "person_needed": ("person needed", "persons needed"),
    "back_to_normal": ("back to normal", "back to normal"),
    "listing_finished": ("listing finished", "listings finished"),
    "product_published": ("product published", "products published"),
    "test": ("test", "tests"),
}


@frozen
class HookDelivery:
    """Events that one hook is given in one call.

    Attributes
    ----------
    id
        The same at each attempt, so that a receiver can drop a delivery that it had already.
    """

    id: str
    hook: str
    sent_at: float
    events: tuple[Mapping[str, object], ...]

    def as_json(self) -> bytes:
        """Return the body that programs and webhooks get."""
        document = {
            "schema": SCHEMA,
            "delivery": self.id,
            "hook": self.hook,
            "sent_at": iso(self.sent_at),
            "events": list(self.events),
        }
        return json.dumps(document, ensure_ascii=False).encode()


def delivery_of(state: str, hook: str, batch: int, sent_at: float, events: Sequence[OutboxEvent]) -> HookDelivery:
    """Make a delivery of a batch.

    The ids have the state, number and time of the events: numbers alone would repeat after an older backup of the state
    was restored, and a receiver would drop new events.
    """
    mark = state[:8]
    given = tuple(
        {"id": f"{mark}-{each.id}-{_milliseconds(each.at)}", "event": each.kind, "at": iso(each.at), **each.facts}
        for each in events
    )
    number = f"{mark}-{hook}-{batch}-{len(events)}-{_milliseconds(events[0].at)}"
    return HookDelivery(number, hook, sent_at, given)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the header ``Cdsed-Signature``: HMAC-SHA256 of the timestamp, a full stop and the body."""
    return f"sha256={hmac.new(secret, timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def mail_of(target: MailTarget, delivery: HookDelivery) -> bytes:
    """Return one mail about all events of a delivery."""
    message = EmailMessage()
    message["From"] = target.from_address
    message["To"] = ", ".join(target.to)
    message["Subject"] = f"{target.subject}: {_summary(delivery)}"
    message["Date"] = format_datetime(datetime.fromtimestamp(delivery.sent_at, UTC))
    message["Message-ID"] = f"<{delivery.id}@{target.from_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(delivery)) + "\n")
    return message.as_bytes()


def _summary(delivery: HookDelivery) -> str:
    counts = Counter(str(event["event"]) for event in delivery.events)
    return ", ".join(f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in _TITLES.items() if counts[kind])


def _lines(delivery: HookDelivery) -> list[str]:
    lines = [f"{_summary(delivery)}.", ""]
    for event in delivery.events:
        match event["event"]:
            case "person_needed":
                lines += [
                    f"{event['at']} {str(event['severity']).upper()}: {event['text']}",
                    f"  {event['remedy']}",
                    "",
                ]
            case "back_to_normal":
                lines += [f"{event['at']} back to normal: {event['text']}", ""]
            case "test":
                lines += [f"{event['at']} this is a test: `cdsed hooks test` was run", ""]
    lines += _some(delivery, "listing_finished", _LISTINGS_SHOWN)
    lines += _some(delivery, "product_published", _PRODUCTS_SHOWN)
    return [*lines, f"Sent by the hook {delivery.hook} of cdsed, delivery {delivery.id}."]


def _some(delivery: HookDelivery, kind: str, most: int) -> list[str]:
    events = [event for event in delivery.events if event["event"] == kind]
    if not events:
        return []
    lines = [f"{_TITLES[kind][1].capitalize()}:"]
    for event in events[:most]:
        if kind == "product_published":
            lines.append(f"  {event['path']}")
            continue
        products = event["products"]
        counts = products.items() if isinstance(products, Mapping) else ()
        lines.append(f"  {event['listing']}: " + ", ".join(f"{count} {state}" for state, count in counts))
    if len(events) > most:
        lines.append(f"  and {len(events) - most} more")
    return [*lines, ""]


def _milliseconds(at: float) -> str:
    return format(int(at * 1000), "x")
