//! Saving and restoring optimizers and averages.

use super::*;

/// Bits of the parameters after `steps` of the fixture's gradients.
fn run<R: Rule>(
    optimizer: &mut Stepper<R>,
    vars: &[(String, Var)],
    steps: std::ops::Range<usize>,
) -> Result<()> {
    let fixture = fixture();
    for step in steps {
        optimizer.set_learning_rate(0.01 / (step + 1) as f64);
        optimizer.step(&grads(vars, &numbers(&fixture["grads"][step]))?)?;
    }
    Ok(())
}

fn bits(vars: &[(String, Var)]) -> Result<Vec<u64>> {
    Ok(flat(vars)?.into_iter().map(f64::to_bits).collect())
}

/// What safetensors makes of a state.
fn through_a_file(state: &State) -> Result<State> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.safetensors");
    candle_core::safetensors::save(
        &state.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect(),
        &path,
    )?;
    Ok(candle_core::safetensors::load(&path, &Device::Cpu)?.into_iter().collect())
}

#[track_caller]
fn check<R: Rule + Copy>(config: R) {
    for dtype in [DType::F32, DType::F64] {
        check_in(config, dtype).expect("a resumed training");
    }
}

fn check_in<R: Rule + Copy>(config: R, dtype: DType) -> Result<()> {
    let start = numbers(&fixture()["start"]);
    let whole = vars(&start, dtype)?;
    run(&mut Stepper::new(whole.clone(), config)?, &whole, 0..10)?;

    let first = vars(&start, dtype)?;
    let mut optimizer = Stepper::new(first.clone(), config)?;
    run(&mut optimizer, &first, 0..5)?;
    let (state, weights) = (through_a_file(&optimizer.state()?)?, flat(&first)?);
    // A state is a copy: what the first optimizer does next must not reach it.
    let live = optimizer.state()?;
    run(&mut optimizer, &first, 5..7)?;
    assert_eq!(contents(&live)?, contents(&state)?);

    let second = vars(&weights, dtype)?;
    let mut resumed = Stepper::new(second.clone(), config)?;
    resumed.restore(&state)?;
    assert_eq!(resumed.learning_rate(), 0.01 / 5.0);
    run(&mut resumed, &second, 5..10)?;
    assert_eq!(bits(&second)?, bits(&whole)?);

    // Without the state the weights come out different, so the test above can fail. Plain descent has none.
    if config.slots()[0].is_some() {
        let third = vars(&weights, dtype)?;
        run(&mut Stepper::new(third.clone(), config)?, &third, 5..10)?;
        assert_ne!(bits(&third)?, bits(&whole)?);
    }
    Ok(())
}

#[test]
fn five_steps_and_five_resumed_are_ten() {
    check(AdamConfig { weight_decay: 0.1, ..AdamConfig::new(0.01) });
    check(AdamWConfig { weight_decay: 0.1, ..AdamWConfig::new(0.01) });
    check(RmsPropConfig::new(0.01));
    check(RmsPropConfig { momentum: 0.9, ..RmsPropConfig::new(0.01) });
    check(RmsPropConfig { centered: true, ..RmsPropConfig::new(0.01) });
    check(RmsPropConfig { centered: true, momentum: 0.9, ..RmsPropConfig::new(0.01) });
    check(SgdConfig::new(0.1));
    check(SgdConfig { momentum: 0.9, ..SgdConfig::new(0.1) });
}

#[track_caller]
fn check_refused(change: fn(&mut State), message: &str) {
    let refused = || -> Result<()> {
        let start = numbers(&fixture()["start"]);
        let vars = vars(&start, DType::F32)?;
        let mut optimizer = Adam::new(vars.clone(), AdamConfig::new(0.01))?;
        run(&mut optimizer, &vars, 0..2)?;
        let mut state = optimizer.state()?;
        let before = contents(&state)?;
        change(&mut state);
        let result = optimizer.restore(&state);
        assert_eq!(contents(&optimizer.state()?)?, before);
        result
    };
    assert_eq!(refused().expect_err(message).to_string(), message);
}

#[test]
fn a_foreign_state_is_refused_and_changes_nothing() {
    check_refused(
        |state| drop(state.remove("bias.step")),
        "optimizer state: expected 10 tensors, found 9; `bias.step` is missing",
    );
    check_refused(
        |state| state.put("gain.step", state["bias.step"].clone()),
        "optimizer state: expected 10 tensors, found 11; `gain.step` is unknown",
    );
    check_refused(
        |state| {
            let step = state.remove("weight.step").expect("a step");
            state.insert("kernel.step".into(), step);
        },
        "optimizer state: expected `weight.step`, found `kernel.step`",
    );
    check_refused(
        |state| state.put("bias.first_moment", state["weight.first_moment"].clone()),
        "optimizer state: `bias.first_moment`: expected [4] of F32, found [2, 3] of F32",
    );
    check_refused(
        |state| state.put("bias.step", state["learning_rate"].clone()),
        "optimizer state: `bias.step`: expected [] of I64, found [] of F64",
    );
}

#[test]
fn two_parameters_of_one_name_are_refused() -> Result<()> {
    let var = Var::new(&[0f32], &Device::Cpu)?;
    let twice = vec![("x".to_string(), var.clone()), ("x".to_string(), var)];
    let error = Sgd::new(twice, SgdConfig::new(0.1)).expect_err("one name");
    assert_eq!(error.to_string(), "optimizer: expected distinct names, found two parameters `x`");
    Ok(())
}

#[test]
fn a_gradient_of_another_shape_is_refused() -> Result<()> {
    let vars = vars(&numbers(&fixture()["start"]), DType::F32)?;
    let mut store = grads(&vars, &numbers(&fixture()["grads"][0]))?;
    store.insert(vars[0].1.as_tensor(), Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?);
    let error = Adam::new(vars, AdamConfig::new(0.1))?.step(&store).expect_err("another shape");
    assert_eq!(error.to_string(), "gradient of `bias`: expected [4], found [2, 2]");
    Ok(())
}
