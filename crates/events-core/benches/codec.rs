//! How many events a second one core encodes and decodes: the 288-byte event of the performance notes.
//!
//! `cargo bench -p events-core` prints the throughput in events (`Kelem/s` and `Melem/s`).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use events_core::Event;
use events_core::wire::{self, RawMessage};
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
    let missing = 288 - wire::encode(&event(0)).body().len();
    let event = event(missing);
    assert_eq!(wire::encode(&event).body().len(), 288);
    event
}

fn codec(criterion: &mut Criterion) {
    let event = event();
    let raw = RawMessage::from(&wire::encode(&event));
    let body = raw.body().expect("a body").to_vec();
    let mut group = criterion.benchmark_group("adr018 288 bytes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |bencher| bencher.iter(|| wire::encode(black_box(&event)).into_body()));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let fields = [(b"event".as_slice(), black_box(body.as_slice()))];
            wire::decode(fields, OffsetDateTime::UNIX_EPOCH)
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
