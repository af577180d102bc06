//! The promises of a calibration by simulation, and its numbers against SciPy: `tests/fixtures/metrics/make.py`.

use super::*;
use crate::metrics::special::{beta_cdf, kolmogorov_upper_tail, normal_two_sided};
use serde_json::Value;

fn fixture() -> Value {
    let text = include_str!("../../../../tests/fixtures/metrics/calibration.json");
    serde_json::from_str(text).expect("the fixture is JSON")
}

fn list<'a>(fixture: &'a Value, name: &str) -> &'a [Value] {
    fixture[name].as_array().expect("a list")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64) {
    assert!(
        (found - expected).abs() <= relative * expected.abs().max(1e-300),
        "{found}, expected {expected}"
    );
}

#[test]
fn distribution_functions_equal_scipy() {
    let fixture = fixture();
    for row in list(&fixture, "beta") {
        close(beta_cdf(number(&row[0]), number(&row[1]), number(&row[2])), number(&row[3]), 1e-8);
    }
    for row in list(&fixture, "kolmogorov") {
        let found = kolmogorov_upper_tail(number(&row[0]));
        assert!((found - number(&row[1])).abs() < 1e-14, "{found}, expected {row}");
    }
    for row in list(&fixture, "normal") {
        close(normal_two_sided(number(&row[0])), number(&row[1]), 1e-13);
    }
}

#[test]
fn ranks_and_intervals_equal_exact_fractions_and_scipy() -> Result<()> {
    for row in list(&fixture(), "ranks") {
        let (n, alpha) = (row["n"].as_u64().expect("n") as usize, number(&row["alpha"]));
        let rank = conformal_rank(n, alpha)?;
        assert_eq!(rank.map(|rank| rank as u64), row["rank"].as_u64(), "{row}");
        assert_eq!(normals_needed(alpha) as u64, row["needed"].as_u64().expect("needed"), "{row}");
        assert_eq!(rank.is_some(), n >= normals_needed(alpha), "{row}");
        let Estimate { value, low, high } = false_alarm_interval(n, alpha)?;
        if rank.is_some() {
            close(low, number(&row["interval"][0]), 1e-7);
            close(high, number(&row["interval"][1]), 1e-7);
            assert!(value <= alpha * (1.0 + 1e-12));
        } else {
            assert_eq!((value, low, high), (0.0, 0.0, 0.0));
        }
    }
    Ok(())
}

#[test]
fn the_fewest_normals_are_just_enough() -> Result<()> {
    for n in 1..3000 {
        let alpha = 1.0 / (n + 1) as f64;
        assert_eq!((conformal_rank(n, alpha)?, normals_needed(alpha)), (Some(n), n));
        assert_eq!(conformal_rank(n - 1, alpha)?, None, "{n}");
    }
    Ok(())
}

/// Counts how often a new normal sample has p ≤ α, over fresh calibration sets. A score is drawn by `draw`.
fn false_alarm_rate(n: usize, alpha: f64, draw: impl Fn(f32) -> f32, smoothed: bool) -> Result<f64> {
    let n_trials = 20_000;
    let mut n_alarms = 0;
    for trial in 0..n_trials {
        let rng = Rng::new(11).fork_index(trial);
        let scores: Vec<f32> = rng.fork("scores").normals(n + 1).into_iter().map(&draw).collect();
        let calibration = Calibration::conformal(&scores[..n], alpha)?;
        let decision = calibration.decide(&scores[n..])?[0];
        assert_eq!(decision.abnormal, decision.p_value <= alpha + 1e-12);
        let smoothed_p = calibration.smoothed_p_value(scores[n], &mut rng.fork("u"))?;
        assert!(smoothed_p <= decision.p_value);
        n_alarms += u32::from(if smoothed { smoothed_p <= alpha } else { decision.abnormal });
    }
    Ok(f64::from(n_alarms) / n_trials as f64)
}

#[test]
fn false_alarms_stay_within_the_promise() -> Result<()> {
    // Four standard errors of the simulation.
    let scatter = |alpha: f64| 4.0 * (alpha * (1.0 - alpha) / 20_000.0).sqrt();
    for (n, alpha) in [(19, 0.05), (39, 0.1), (24, 0.1)] {
        let continuous = false_alarm_rate(n, alpha, |x| x, false)?;
        let exact = (alpha * (n + 1) as f64 + 1e-9).floor() / (n + 1) as f64;
        assert!((continuous - exact).abs() < scatter(exact), "{n} {alpha}: {continuous}");
        let tied = false_alarm_rate(n, alpha, f32::round, false)?;
        assert!(tied < alpha - scatter(alpha), "{n} {alpha}: {tied}");
        let smoothed = false_alarm_rate(n, alpha, f32::round, true)?;
        assert!((smoothed - alpha).abs() < scatter(alpha), "{n} {alpha}: {smoothed}");
    }
    Ok(())
}

#[test]
fn the_interval_covers_the_rate_of_one_calibration_set() -> Result<()> {
    // Scores uniform in 0..1: the false-alarm rate above a threshold t is 1 - t.
    let interval = false_alarm_interval(200, 0.05)?;
    let (mut below, mut above) = (0, 0);
    for set in 0..20_000 {
        let normals = Rng::new(12).fork_index(set).uniforms(200, 0.0, 1.0);
        let rate = 1.0 - Calibration::conformal(&normals, 0.05)?.threshold_or_infinity();
        below += u32::from(rate < interval.low);
        above += u32::from(rate > interval.high);
    }
    // 2.5 % of 20,000 is 500 with a standard error of 22.
    assert!((410..590).contains(&below) && (410..590).contains(&above), "{below} {above}");
    Ok(())
}

#[test]
fn too_few_normals_flag_nothing_and_say_so() -> Result<()> {
    let normals: Vec<f32> = (0..50).map(|i| i as f32).collect();
    let calibration = Calibration::conformal(&normals, 0.01)?;
    assert_eq!(calibration.threshold(), None);
    let said = "α = 0.01 needs at least 99 validation normals, there are 50";
    assert_eq!(calibration.shortfall().as_deref(), Some(said));
    let decision = calibration.decide(&[f32::INFINITY])?[0];
    assert!(!decision.abnormal && decision.p_value == 1.0 / 51.0);
    assert_eq!(Calibration::conformal(&normals, 0.02)?.shortfall(), None);
    Ok(())
}

#[test]
fn the_normalised_score_keeps_the_order_and_meets_the_threshold() -> Result<()> {
    let normals: Vec<f32> = Rng::new(13).normals(300).iter().map(|x| 1e-3 * x.exp()).collect();
    for calibration in [Calibration::conformal(&normals, 0.05)?, Calibration::conformal(&normals, 0.001)?] {
        let scores: Vec<f32> = (0..4000).map(|i| 1e-6 * 1.005_f32.powi(i)).collect();
        let decisions = calibration.decide(&scores)?;
        let threshold = calibration.threshold();
        for (score, (decision, next)) in scores.iter().zip(decisions.iter().zip(&decisions[1..])) {
            assert!(decision.normalised < next.normalised && next.normalised < 1.0, "{score}");
            assert!(decision.normalised > 0.0 && decision.p_value >= next.p_value);
            assert!(threshold.is_none() || decision.abnormal == (decision.normalised > 0.5), "{score}");
        }
    }
    let constant = Calibration::conformal(&[0.0; 30], 0.1)?.decide(&[-1.0, 0.0, 1.0, f32::INFINITY])?;
    let normalised: Vec<f64> = constant.iter().map(|decision| decision.normalised).collect();
    assert_eq!(normalised, [0.25, 0.5, 0.75, 1.0]);
    Ok(())
}

#[test]
fn best_f1_and_fixed_thresholds_keep_the_normals() -> Result<()> {
    let scores = [3.0, 1.0, 2.0, 10.0, 2.5];
    let abnormal = [false, false, false, true, true];
    let best = Calibration::best_f1(&scores, &abnormal)?;
    assert_eq!((best.threshold(), best.normals()), (Some(2.25), &[1.0, 2.0, 3.0][..]));
    assert_eq!(best.method(), Method::BestF1 { f1: 0.8, n_abnormal: 2 });
    assert_eq!(best.false_alarms(), None);
    let fixed = Calibration::fixed(&scores[..3], 2.0)?;
    let decisions = fixed.decide(&[2.0, 2.5])?;
    assert!(!decisions[0].abnormal && decisions[1].abnormal && decisions[1].p_value == 0.5);
    Ok(())
}

#[test]
fn a_saved_calibration_comes_back_and_a_changed_one_is_refused() -> Result<()> {
    let normals = Rng::new(14).normals(40);
    let labelled: Vec<bool> = (0..40).map(|i| i % 3 == 0).collect();
    for calibration in [
        Calibration::conformal(&normals, 0.1)?,
        Calibration::conformal(&normals, 0.001)?,
        Calibration::best_f1(&normals, &labelled)?,
        Calibration::fixed(&normals, 0.1)?,
    ] {
        let text = serde_json::to_string(&calibration).expect("JSON");
        assert_eq!(serde_json::from_str::<Calibration>(&text).expect("and back"), calibration);
    }
    let saved = serde_json::to_value(Calibration::conformal(&[1.0, 2.0, 3.0], 0.5)?).expect("JSON");
    for (field, value, problem) in [
        ("n", serde_json::json!(4), "expected 4 validation scores, found 3"),
        ("normals", serde_json::json!([1.0, 3.0, 2.0]), "the validation scores are not ascending"),
        ("threshold", serde_json::json!(2.5), "the threshold Some(2.5) is not that of its method"),
        ("method", serde_json::json!({"kind": "fixed", "alpha": 1}), "unknown field `alpha`"),
    ] {
        let mut changed = saved.clone();
        changed[field] = value;
        let error = serde_json::from_value::<Calibration>(changed).expect_err(problem).to_string();
        assert!(error.contains(problem), "{error}");
    }
    Ok(())
}

#[test]
fn drift_statistics_equal_scipy() -> Result<()> {
    for row in list(&fixture(), "drifts") {
        let scores = |name: &str| serde_json::from_value::<Vec<f32>>(row[name].clone()).expect("scores");
        let calibration = Calibration::conformal(&scores("reference"), 0.1)?;
        let drift = calibration.drift(&scores("new"))?;
        close(drift.ks.statistic, number(&row["statistic"]), 1e-12);
        close(drift.ks.p_value, number(&row["p_value"]), 1e-9);
        assert!((drift.ks.p_value - number(&row["exact_p_value"])).abs() < 0.05, "{row}");
        close(drift.psi, number(&row["psi"]), 1e-12);
        assert_eq!((drift.n_reference, drift.n_new), (scores("reference").len(), scores("new").len()));
    }
    let same = Calibration::conformal(&[1.0, 2.0, 3.0], 0.5)?.drift(&[3.0, 1.0, 2.0])?;
    let shifted = Calibration::fixed(&[1.0, 2.0, 3.0], 3.0)?.drift(&[3.0, 4.0, 5.0, 2.0])?;
    assert_eq!((shifted.flagged, shifted.ks.statistic), (0.5, 0.5));
    assert_eq!((same.ks.statistic, same.ks.p_value, same.psi), (0.0, 1.0, 0.0));
    Ok(())
}

#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T>, expected: &str) {
    assert_eq!(result.expect_err("bad input").to_string(), expected);
}

#[test]
fn bad_input_is_an_error_that_names_it() -> Result<()> {
    check_error(
        Calibration::conformal(&[], 0.1),
        "metric: calibration needs validation normals, there are none",
    );
    let nan = "metric: validation score 1 is NaN, expected a finite number";
    check_error(Calibration::conformal(&[0.0, f32::NAN], 0.1), nan);
    let alpha = "config field `alpha`: 1 is not between 0 and 1 (both excluded)";
    check_error(Calibration::conformal(&[0.0], 1.0), alpha);
    assert!(Calibration::conformal(&[0.0], f64::NAN).is_err());
    check_error(
        Calibration::fixed(&[0.0], f64::INFINITY),
        "config field `threshold`: inf is not a finite number",
    );
    let calibration = Calibration::conformal(&[0.0], 0.5)?;
    check_error(calibration.decide(&[0.0, f32::NAN]), "metric: score 1 is NaN");
    check_error(calibration.drift(&[]), "metric: there are no new scores to compare");
    check_error(calibration.drift(&[f32::NAN]), "metric: new score 0 is NaN, expected a finite number");
    assert_eq!(normals_needed(f64::NAN), 0);
    Ok(())
}
