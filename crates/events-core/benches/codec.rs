//! How many events a second one core encodes and decodes, and how long it takes to tell an encoding: the 288-byte event of
//! the performance notes.
//!
//! `cargo bench -p events-core` prints the time of one event, and the throughput in events (`Kelem/s` and `Melem/s`).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use events_core::Event;
use events_core::wire::{self, Encoding, RawMessage};
use time::OffsetDateTime;

/// An event whose body takes 288 bytes, as the Python API writes such events.
fn event() -> Event {
    let event = |note: usize| {
        Event::builder("slack-usergroups.update_users", "qontract-api")
            .with_timestamp(time::macros::datetime!(2026-02-10 12:00:00.123456 UTC))
            .with_id("019c4755-5ec0-7b3a-9c55-1f2d3c4b5a69")
            .with_payload_json(format!(
                r#"{{"workspace":"coreos","usergroup":"team-a","users":["alice","bob"],"note":"{}"}}"#,
                "x".repeat(note)
            ))
            .build()
            .expect("a valid event")
    };
    let missing = 288 - body(&event(0)).len();
    let event = event(missing);
    assert_eq!(body(&event).len(), 288);
    event
}

fn body(event: &Event) -> Vec<u8> {
    Encoding::Adr018.encode(event).expect("a valid event").into_body().expect("a body")
}

/// Every encoding with the same event, so that their rates can be compared.
fn codec(criterion: &mut Criterion) {
    let event = event();
    let mut group = criterion.benchmark_group("288 bytes");
    group.throughput(Throughput::Elements(1));
    for encoding in Encoding::ALL {
        group.bench_function(format!("encode {encoding}"), |bencher| {
            bencher.iter(|| encoding.encode(black_box(&event)));
        });
        let raw = RawMessage::from(&encoding.encode(&event).expect("a valid event"));
        let fields: Vec<(&[u8], &[u8])> =
            raw.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        group.bench_function(format!("detect {encoding}"), |bencher| {
            bencher.iter(|| wire::detect(black_box(&fields).iter().copied()));
        });
        group.bench_function(format!("decode {encoding}"), |bencher| {
            bencher.iter(|| wire::decode(black_box(&fields).iter().copied(), OffsetDateTime::UNIX_EPOCH));
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
