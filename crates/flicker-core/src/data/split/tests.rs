//! Protocols on small data sets whose every index is known, and the promise about twins at random.

use super::super::{Class, Images};
use super::*;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::sync::Arc;

/// A data set of one-pixel-pair images; `contents[i]` decides what image i holds.
fn dataset(contents: &[u16], labels: Vec<u32>, parts: Vec<Part>) -> Dataset {
    let bytes = contents.iter().flat_map(|content| content.to_le_bytes()).collect();
    let source = Arc::new(Images::new((1, 1, 2), bytes, "").expect("pairs"));
    let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    Dataset::new("small", source, labels, classes, parts).expect("lists that fit")
}

/// 100 different samples, classes 0 1 2 3 0 1 2 3 …; the last 40 are the test part.
fn hundred() -> Dataset {
    let parts = [vec![Part::Train; 60], vec![Part::Test; 40]].concat();
    dataset(&(0..100).collect::<Vec<u16>>(), (0..100).map(|i| i % 4).collect(), parts)
}

fn where_class(classes: &[usize], range: std::ops::Range<usize>) -> Vec<usize> {
    range.filter(|index| classes.contains(&(index % 4))).collect()
}

fn n_abnormal(split: &Split) -> usize {
    split.test_abnormal.iter().filter(|&&abnormal| abnormal).count()
}

const ALL: Pool = Pool::Shuffled { test_fraction: 0.2, abnormal: AbnormalShare::All };

#[test]
fn one_class_tests_the_official_test_part() -> Result<()> {
    let config = SplitConfig::new(Pool::Official, 0.2);
    let split = Protocol::one_class([1]).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!(split.test, (60..100).collect::<Vec<_>>());
    assert_eq!(n_abnormal(&split), 30);
    let mut trains = [split.train.clone(), split.validation.clone()].concat();
    trains.sort_unstable();
    assert_eq!(trains, where_class(&[1], 0..60));
    assert_eq!(split.validation.len(), 3);
    let two = Protocol::OneClass { normal: vec!["b".into()], abnormal: Some(vec![Class::Number(3)]) };
    assert_eq!(two.split(&hundred(), &config, &Rng::new(0))?.test, where_class(&[1, 3], 60..100));
    Ok(())
}

#[test]
fn leave_one_out_tests_every_abnormal_sample() -> Result<()> {
    let config = SplitConfig::new(Pool::Official, 0.0);
    let split = Protocol::leave_one_out([2]).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!(split.train, where_class(&[0, 1, 3], 0..60));
    let test = [where_class(&[2], 0..60), (60..100).collect()].concat();
    assert_eq!((split.test.clone(), n_abnormal(&split)), (test, 25));
    Ok(())
}

#[test]
fn the_pool_of_ganomaly() -> Result<()> {
    let config = SplitConfig::new(ALL, 0.1);
    let protocol = Protocol::leave_one_out(["c"]);
    let split = protocol.split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.test.len(), n_abnormal(&split)), (15 + 25, 25));
    assert_eq!((split.train.len(), split.validation.len()), (54, 6));
    assert_eq!(split, protocol.split(&hundred(), &config, &Rng::new(0))?);
    let other = protocol.split(&hundred(), &config, &Rng::new(1))?;
    assert_ne!(split.test, other.test);
    let fixed = SplitConfig { seed: Some(77), ..config };
    assert_eq!(
        protocol.split(&hundred(), &fixed, &Rng::new(0))?,
        protocol.split(&hundred(), &fixed, &Rng::new(1))?
    );
    Ok(())
}

#[test]
fn a_stratified_and_a_timely_split() -> Result<()> {
    let (test_fraction, abnormal) = (0.2, AbnormalShare::Share);
    let protocol = Protocol::leave_one_out([3]);
    let config = SplitConfig::new(Pool::Shuffled { test_fraction, abnormal }, 0.0);
    let split = protocol.split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.train.len(), split.test.len(), n_abnormal(&split)), (60, 20, 5));
    let config = SplitConfig::new(Pool::Ordered { test_fraction, abnormal }, 0.0);
    let split = protocol.split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.train, split.test), (where_class(&[0, 1, 2], 0..80), (80..100).collect()));
    Ok(())
}

#[test]
fn a_ratio_takes_the_first_or_draws() -> Result<()> {
    let ratio =
        |abnormal_per_normal, order| Protocol::Ratio { normal: vec![0.into()], abnormal_per_normal, order };
    let config = SplitConfig::new(Pool::Official, 0.0);
    let abnormal = |split: &Split| -> Vec<usize> {
        split
            .test
            .iter()
            .zip(&split.test_abnormal)
            .filter(|(_, abnormal)| **abnormal)
            .map(|(&i, _)| i)
            .collect()
    };
    let first = ratio(0.5, Order::File).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((first.test.len(), abnormal(&first)), (15, vec![61, 62, 63, 65, 66]));
    let drawn = ratio(0.5, Order::Drawn).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((drawn.test.len(), n_abnormal(&drawn)), (15, 5));
    assert_ne!(abnormal(&drawn), abnormal(&first));
    let message = ratio(3.2, Order::File).split(&hundred(), &config, &Rng::new(0)).unwrap_err().to_string();
    assert!(
        message.contains("3.2 abnormal samples for each of 10 normals") && message.contains("1 to 30"),
        "{message}"
    );
    Ok(())
}

#[test]
fn labelled_abnormal_samples_are_not_tested() -> Result<()> {
    let config = SplitConfig { labelled_abnormal: 0.4, ..SplitConfig::new(Pool::Official, 0.25) };
    let split = Protocol::one_class([0]).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.train_abnormal.len(), split.validation_abnormal.len()), (18 - 5, 5));
    assert!(split.train_abnormal.iter().all(|&index| index < 60 && index % 4 != 0));
    let config = SplitConfig { labelled_abnormal: 0.4, ..SplitConfig::new(ALL, 0.0) };
    let split = Protocol::leave_one_out([0]).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.train_abnormal.len(), n_abnormal(&split)), (10, 15));
    Ok(())
}

#[test]
fn training_can_be_limited() -> Result<()> {
    let config = SplitConfig { train_at_most: Some(20), ..SplitConfig::new(Pool::Official, 0.25) };
    let split = Protocol::leave_one_out([0]).split(&hundred(), &config, &Rng::new(0))?;
    assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (15, 5, 55));
    Ok(())
}

#[test]
fn what_cannot_be_done_is_said() {
    let check = |protocol: Protocol, config: SplitConfig, said: &str| {
        let message = protocol.split(&hundred(), &config, &Rng::new(0)).unwrap_err().to_string();
        assert!(message.contains(said), "{message}");
    };
    let official = SplitConfig::new(Pool::Official, 0.1);
    check(Protocol::one_class([4]), official, "no class number 4, expected one of a, b, c, d");
    check(Protocol::one_class(["e"]), official, "no class `e`");
    check(Protocol::one_class([1, 1]), official, "class `b` is named twice");
    check(Protocol::leave_one_out([0, 1, 2, 3]), official, "no normal sample to train with");
    check(
        Protocol::one_class([0]),
        SplitConfig::new(Pool::Official, 0.01),
        "no normal sample to validate with",
    );
    check(
        Protocol::one_class([0]),
        SplitConfig::new(Pool::Official, 1.0),
        "`split.validation`: 1 is no share",
    );
    let pool = Pool::Shuffled { test_fraction: f64::NAN, abnormal: AbnormalShare::All };
    check(
        Protocol::one_class([0]),
        SplitConfig::new(pool, 0.1),
        "`split.pool.test_fraction`: NaN is no share",
    );
}

#[test]
fn planted_twins_stay_together() -> Result<()> {
    // Samples 0 and 61 are twins, both of class b; 1 and 2 are twins of the classes b and c.
    let mut contents: Vec<u16> = (0..100).collect();
    (contents[61], contents[2]) = (0, 1);
    let mut labels: Vec<u32> = (0..100).map(|i| i % 4).collect();
    labels[0] = 1;
    let planted = dataset(&contents, labels, hundred().parts().to_vec());
    let split =
        Protocol::one_class([1]).split(&planted, &SplitConfig::new(Pool::Official, 0.0), &Rng::new(0))?;
    assert_eq!(split.left_out, [0, 1]);
    assert!(split.test.contains(&61) && !split.train.contains(&0));
    for seed in 0..20 {
        let split = Protocol::one_class([1]).split(&planted, &SplitConfig::new(ALL, 0.2), &Rng::new(seed))?;
        assert_eq!(split.test.contains(&0), split.test.contains(&61), "seed {seed}");
        assert_eq!(split.validation.contains(&0), split.validation.contains(&61), "seed {seed}");
        assert!(split.test.contains(&1) && split.test.contains(&2), "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_protocol_is_read_from_text() {
    let protocol: Protocol =
        serde_json::from_str(r#"{"kind": "one_class", "normal": [7], "abnormal": ["d"]}"#)
            .expect("a protocol");
    let expected = Protocol::OneClass { normal: vec![7.into()], abnormal: Some(vec!["d".into()]) };
    assert_eq!(protocol, expected);
    for wrong in [
        r#"{"kind": "leave_one_out", "normal": [7]}"#,
        r#"{"kind": "leave_one_out", "abnormal": [7], "order": "file"}"#,
        r#"{"kind": "leave_two_out"}"#,
        r#"{"kind": "leave_one_out", "abnormal": [true]}"#,
    ] {
        assert!(serde_json::from_str::<Protocol>(wrong).is_err(), "{wrong}");
    }
    let config: SplitConfig =
        serde_json::from_str(r#"{"pool": {"kind": "official"}, "validation": 0.1}"#).expect("a split");
    assert_eq!(config, SplitConfig::new(Pool::Official, 0.1));
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let abnormal = prop_oneof![Just(AbnormalShare::All), Just(AbnormalShare::Share)];
    prop_oneof![
        Just(Pool::Official),
        (0.1..0.9_f64, abnormal.clone())
            .prop_map(|(test_fraction, abnormal)| Pool::Shuffled { test_fraction, abnormal }),
        (0.1..0.9_f64, abnormal)
            .prop_map(|(test_fraction, abnormal)| Pool::Ordered { test_fraction, abnormal }),
    ]
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        Just(Protocol::one_class([0])),
        Just(Protocol::OneClass { normal: vec![0.into(), 1.into()], abnormal: Some(vec![2.into()]) }),
        Just(Protocol::leave_one_out([3])),
        (0.1..1.0_f64).prop_map(|abnormal_per_normal| Protocol::Ratio {
            normal: vec![1.into()],
            abnormal_per_normal,
            order: Order::Drawn
        }),
    ]
}

proptest! {
    /// Contents are drawn from few values, so most samples have twins, of the same class and of others.
    #[test]
    fn identical_samples_never_stand_on_both_sides(
        samples in proptest::collection::vec((0_u16..60, 0_u32..4, any::<bool>()), 80),
        pool in any_pool(),
        protocol in any_protocol(),
        validation in 0.0..0.5_f64,
        labelled_abnormal in 0.0..0.5_f64,
        seed: u64,
    ) {
        let contents: Vec<u16> = samples.iter().map(|sample| sample.0).collect();
        let parts = samples.iter().map(|sample| if sample.2 { Part::Test } else { Part::Train }).collect();
        let data = dataset(&contents, samples.iter().map(|sample| sample.1).collect(), parts);
        let config = SplitConfig { labelled_abnormal, ..SplitConfig::new(pool, validation) };
        let Ok(split) = protocol.split(&data, &config, &Rng::new(seed)) else { return Ok(()) };
        let mut side = vec![None; 80];
        let lists = [
            (&split.train, 0), (&split.train_abnormal, 0), (&split.validation, 1), (&split.validation_abnormal, 1), (&split.test, 2),
        ];
        for (list, name) in lists {
            for &index in list {
                prop_assert!(side[index].replace(name).is_none(), "sample {} stands twice", index);
            }
        }
        for i in (0..80).filter(|&i| side[i].is_some()) {
            for j in (0..i).filter(|&j| contents[i] == contents[j] && side[j].is_some()) {
                prop_assert_eq!(side[i], side[j], "twins {} and {}", j, i);
            }
        }
        let roles = protocol.roles(&data).expect("classes that exist");
        prop_assert!(split.train.iter().chain(&split.validation).all(|&i| roles[i] == Role::Normal));
        prop_assert!(split.train_abnormal.iter().chain(&split.validation_abnormal).all(|&i| roles[i] == Role::Abnormal));
        prop_assert!(split.test.iter().zip(&split.test_abnormal).all(|(&i, &abnormal)| (roles[i] == Role::Abnormal) == abnormal));
        prop_assert!(split.test.iter().all(|&i| roles[i] != Role::Unused));
    }
}
