//! Runs one case against one harness, and makes a test of every case.

use std::time::Duration;

use crate::{Harness, Shown};

/// How long a case may take before it counts as hung; it guards against waiting for ever and measures nothing.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// Runs one case on a runtime of its own and checks that what could be shown agrees with [`Harness::not_shown`].
///
/// Called by [`conformance_suite!`](crate::conformance_suite); useful by itself to run a single case.
///
/// # Panics
///
/// When the rule is broken, when the case hangs, or when the harness declares something else than what was seen.
pub fn run<H: Harness>(
    number: u8,
    harness: impl AsyncFnOnce() -> H,
    case: impl AsyncFnOnce(&dyn Harness) -> Shown,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the case");
    let outcome = runtime.block_on(async {
        let shown = async {
            let harness = harness().await;
            let reason = |declared: &[(u8, &'static str)]| {
                declared.iter().find(|(declared, _)| *declared == number).map(|(_, reason)| *reason)
            };
            if let Some(reason) = reason(harness.left_out()) {
                return Err(reason);
            }
            let shown = case(&harness).await;
            Ok((shown, reason(harness.not_shown())))
        };
        tokio::time::timeout(HANG_GUARD, shown).await
    });
    // What a backend left running must not keep the test from ending.
    runtime.shutdown_background();
    match outcome {
        Err(_) => panic!("case {number:02} hangs: no end after {HANG_GUARD:?}"),
        Ok(Err(reason)) => say_left_out(number, reason),
        Ok(Ok((Shown::Yes, Some(reason)))) => {
            panic!("case {number:02} is declared as not shown ({reason}), but it can be shown")
        }
        Ok(Ok((Shown::NotOffered, None))) => {
            panic!("case {number:02} cannot be shown, and `not_shown` does not declare it")
        }
        Ok(Ok((Shown::Yes, None) | (Shown::NotOffered, Some(_)))) => {}
    }
}

#[expect(clippy::print_stderr, reason = "whoever reads the output of a test is told what it did not do")]
fn say_left_out(number: u8, reason: &str) {
    eprintln!("case {number:02} is not run on this server: {reason}");
}

/// Makes one `#[test]` of every case of the suite, for the harness an async expression makes.
///
/// The expression is evaluated once per case, on that case's runtime.
///
/// ```ignore
/// events_testkit::conformance_suite!(MyHarness::start().await);
/// ```
#[macro_export]
macro_rules! conformance_suite {
    ($harness:expr) => {
        $crate::conformance_suite! { @cases $harness;
            1 c01_keeps_every_field = basics::keeps_every_field;
            2 c02_keeps_odd_text_and_headers = basics::keeps_odd_text_and_headers;
            3 c03_takes_the_largest_event_and_refuses_one_byte_more
                = basics::takes_the_largest_event_and_refuses_one_byte_more;
            4 c04_keeps_streams_apart = basics::keeps_streams_apart;
            5 c05_gives_every_group_everything = basics::gives_every_group_everything;
            6 c06_shares_a_group_between_consumers = basics::shares_a_group_between_consumers;
            7 c07_starts_a_late_group_where_told = replay::starts_a_late_group_where_told;
            7 c07_reads_history_from_any_position = replay::reads_history_from_any_position;
            7 c07_peeks_without_taking = replay::peeks_without_taking;
            8 c08_keeps_the_order_for_one_consumer = basics::keeps_the_order_for_one_consumer;
            9 c09_serves_twenty_streams_at_once = basics::serves_twenty_streams_at_once;

            10 c10_acknowledging_removes = settling::acknowledging_removes;
            11 c11_redelivers_after_nack = settling::redelivers_after_nack;
            12 c12_hides_for_the_delay_of_nack_after = settling::hides_for_the_delay_of_nack_after;
            13 c13_settling_late_is_harmless = settling::settling_late_is_harmless;
            15 c15_redelivers_a_dropped_delivery = settling::redelivers_a_dropped_delivery;
            16 c16_acknowledges_only_what_is_named = settling::acknowledges_only_what_is_named;
            17 c17_one_failing_ack_leaves_the_others = settling::one_failing_ack_leaves_the_others;

            20 c20_dead_letters_after_max_deliveries = failure::dead_letters_after_max_deliveries;
            20 c20_keeps_the_last_error_of_a_dead_process = failure::keeps_the_last_error_of_a_dead_process;
            21 c21_dead_letters_when_the_process_dies_each_time
                = failure::dead_letters_when_the_process_dies_each_time;
            22 c22_loses_nothing_on_the_way_to_the_dead_letters
                = failure::loses_nothing_on_the_way_to_the_dead_letters;
            23 c23_redrives_with_attempts_from_one = failure::redrives_with_attempts_from_one;
            24 c24_quarantines_the_undecodable_raw = failure::quarantines_the_undecodable_raw;
            25 c25_quarantines_the_undecodable_when_reclaiming
                = failure::quarantines_the_undecodable_when_reclaiming;
            26 c26_delivers_a_newer_version = failure::delivers_a_newer_version;

            30 c30_gives_what_a_dead_holder_had_to_another = recovery::gives_what_a_dead_holder_had_to_another;
            31 c31_keeps_what_is_extended = recovery::keeps_what_is_extended;
            32 c32_keeps_what_is_prefetched = recovery::keeps_what_is_prefetched;
            33 c33_recovers_more_than_ten_batches = recovery::recovers_more_than_ten_batches;
            34 c34_clears_what_was_trimmed_while_pending = recovery::clears_what_was_trimmed_while_pending;
            35 c35_outlives_group_stream_and_data = recovery::outlives_group_stream_and_data;
            36 c36_loses_nothing_accepted_when_the_broker_is_killed
                = restart::loses_nothing_accepted_when_the_broker_is_killed;
            37 c37_notices_a_frozen_broker = restart::notices_a_frozen_broker;
            39 c39_reaps_dead_consumers_that_own_nothing = recovery::reaps_dead_consumers_that_own_nothing;

            45 c45_reports_one_outcome_per_event = flow::reports_one_outcome_per_event;

            50 c50_finishes_what_is_in_flight = stopping::finishes_what_is_in_flight;
            51 c51_gives_back_what_was_prefetched = stopping::gives_back_what_was_prefetched;
            52 c52_dead_letters_nothing_on_shutdown = stopping::dead_letters_nothing_on_shutdown;
            53 c53_closes_at_any_moment = stopping::closes_at_any_moment;
            54 c54_finishes_publishing_before_closing = stopping::finishes_publishing_before_closing;
            55 c55_leaks_nothing = leaks::leaks_nothing;
            56 c56_loses_nothing_when_a_receive_is_dropped = stopping::loses_nothing_when_a_receive_is_dropped;

            60 c60_repeats_at_most_what_was_in_flight = bounds::repeats_at_most_what_was_in_flight;
            62 c62_trims_only_what_nobody_needs = trimming::trims_only_what_nobody_needs;
            63 c63_tells_the_truth_about_groups = bounds::tells_the_truth_about_groups;
            64 c64_carries_trace_context = bounds::carries_trace_context;
            65 c65_survives_a_random_mix = soak::survives_a_random_mix;
        }
    };
    (@cases $harness:expr;) => {};
    (@cases $harness:expr; $number:literal $test:ident = $section:ident::$case:ident; $($rest:tt)*) => {
        #[test]
        fn $test() {
            $crate::run($number, async || $harness, $crate::$section::$case);
        }
        $crate::conformance_suite! { @cases $harness; $($rest)* }
    };
}

#[cfg(test)]
mod tests {
    /// Number, test name, section and case of every case the macro lists.
    fn listed() -> Vec<(String, String, String, String)> {
        let source = include_str!("suite.rs").replace('\n', " ");
        let list = source.split("@cases $harness;").nth(1).expect("the macro has a list");
        let entries = list.split(" }").next().expect("the list ends").split(';');
        entries
            .filter_map(|entry| {
                let (left, right) = entry.split_once('=')?;
                let (number, test) = left.trim().split_once(' ')?;
                let (section, case) = right.trim().split_once("::")?;
                Some([number, test, section, case].map(str::to_owned).into())
            })
            .collect()
    }

    #[test]
    fn a_test_is_named_by_number_and_case() {
        let cases = listed();
        assert!(cases.len() >= 40, "only {cases:?}");
        for (number, test, _, case) in cases {
            assert_eq!(test, format!("c{number:0>2}_{case}"));
        }
    }

    #[test]
    fn the_readme_lists_every_case_and_no_other() {
        let readme = include_str!("../README.md");
        let rows: Vec<&str> = readme.lines().filter(|line| line.contains("::")).collect();
        let cases = listed();
        for (number, _, section, case) in &cases {
            let row = format!("| {number:0>2} | [`{case}`]({section}::{case}) |");
            assert!(rows.iter().any(|line| line.starts_with(&row)), "there is no row {row}");
        }
        assert_eq!(rows.iter().filter(|row| row.starts_with("| ")).count(), cases.len());
    }
}
