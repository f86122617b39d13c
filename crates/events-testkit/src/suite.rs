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
            let shown = case(&harness).await;
            let declared = harness.not_shown().iter().find(|(declared, _)| *declared == number);
            (shown, declared.map(|(_, reason)| *reason))
        };
        tokio::time::timeout(HANG_GUARD, shown).await
    });
    // What a backend left running must not keep the test from ending.
    runtime.shutdown_background();
    match outcome {
        Err(_) => panic!("case {number:02} hangs: no end after {HANG_GUARD:?}"),
        Ok((Shown::Yes, Some(reason))) => {
            panic!("case {number:02} is declared as not shown ({reason}), but it can be shown")
        }
        Ok((Shown::NotOffered, None)) => {
            panic!("case {number:02} cannot be shown, and `not_shown` does not declare it")
        }
        Ok((Shown::Yes, None) | (Shown::NotOffered, Some(_))) => {}
    }
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
            6 c06_shares_a_group_between_consumers = basics::shares_a_group_between_consumers;

            10 c10_acknowledging_removes = settling::acknowledging_removes;
            11 c11_redelivers_after_nack = settling::redelivers_after_nack;
            12 c12_hides_for_the_delay_of_nack_after = settling::hides_for_the_delay_of_nack_after;
            15 c15_redelivers_a_dropped_delivery = settling::redelivers_a_dropped_delivery;
            16 c16_acknowledges_only_what_is_named = settling::acknowledges_only_what_is_named;

            20 c20_dead_letters_after_max_deliveries = failure::dead_letters_after_max_deliveries;
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
