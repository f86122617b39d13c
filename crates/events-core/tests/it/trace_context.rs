//! Trace context, which is an extension of CloudEvents on the wire and headers everywhere else.

use events_core::wire::{Encoding, RawMessage};
use serde_json::json;

use crate::cloudevents::{builder, read, written};
use crate::round_trip::EPOCH;

#[test]
fn trace_context_is_an_extension_on_the_wire_and_a_header_here() {
    let event = read(&json!({
        "specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "traceparent": "00-1", "data": {}
    }));
    let event = event.unwrap();
    assert_eq!(event.headers().get("traceparent"), Some("00-1"));
    assert_eq!(event.extensions().count(), 0);
    // What no attribute may hold stays a header.
    let odd = builder().with_headers([("traceparent", "00-1"), ("tracestate", "a=1\tb")]).build().unwrap();
    for encoding in [Encoding::CloudEvents, Encoding::CloudEventsBinary] {
        let encoded = encoding.encode(&odd).unwrap();
        let beside: Vec<_> = encoded.beside().filter(|(name, _)| name.ends_with("tracestate")).collect();
        assert_eq!(beside, [("tracestate", "a=1\tb")], "{encoding}");
        assert_eq!(RawMessage::from(&encoded).decode(EPOCH).unwrap().headers(), odd.headers(), "{encoding}");
    }
    assert_eq!(written(&odd).get("tracestate"), None);
    // A header of the transport is of a later hop than the event's own.
    let mut raw = RawMessage::from(&Encoding::CloudEvents.encode(&event).unwrap());
    raw.fields.push((b"traceparent".to_vec(), b"00-2".to_vec()));
    let both = raw.decode(EPOCH).unwrap();
    assert_eq!(both.headers().get("traceparent"), Some("00-2"));
    assert_eq!(both.extension("traceparent"), Some(&"00-1".into()));
    for encoding in Encoding::ALL {
        assert_eq!(
            RawMessage::from(&encoding.encode(&both).unwrap()).decode(EPOCH).unwrap(),
            both,
            "{encoding}"
        );
    }
}
