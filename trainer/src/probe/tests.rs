use super::*;

/// Samples whose features are a noisy, mixed view of subject, azimuth and elevation.
fn samples(count: usize) -> (Features, Labels) {
    const DIMENSIONS: usize = 12;
    let mut labels = Labels::default();
    let mut values = Vec::new();
    for i in 0..count {
        let mut random = Random::new(5, "probe test", i as u64);
        let subject = i % 4;
        let (azimuth, elevation) = (random.between(-90.0, 90.0), random.between(-40.0, 60.0));
        for k in 0..DIMENSIONS {
            let mut weights = Random::new(5, "probe test mixture", k as u64);
            let by_angle = [weights.normal(), weights.normal()];
            let by_subject = [(); 4].map(|()| weights.normal());
            let mixed =
                by_angle[0] * azimuth / 90.0 + by_angle[1] * elevation / 60.0 + by_subject[subject];
            values.push((3.0 * mixed + 0.02 * random.normal() + 10.0 * k as f64) as f32);
        }
        labels.subject.push(subject as u32);
        labels.azimuth.push(azimuth);
        labels.elevation.push(elevation);
    }
    (Features::new(values, DIMENSIONS), labels)
}

#[test]
fn a_split_of_2414_leaves_482_to_measure_on() {
    let split = Split::random(2414, 1, 0);
    assert_eq!((split.train.len(), split.test.len()), (1932, 482));
    let mut all = [&split.train[..], &split.test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..2414).collect::<Vec<_>>());
    assert_ne!(split, Split::random(2414, 1, 1));
    assert_ne!(split, Split::random(2414, 2, 0));
    assert_eq!(split, Split::random(2414, 1, 0));
}

#[test]
fn what_features_know_is_found_and_nothing_else() {
    let (features, mut labels) = samples(240);
    let split = Split::random(240, 1, 0);
    let findings = probe(&features, &labels, &split);
    assert!(findings.identity_error < 3.0, "{findings:?}");
    assert!(
        findings.azimuth_error < 30.0 && findings.elevation_error < 20.0,
        "{findings:?}"
    );
    assert_eq!(findings.azimuth.len(), split.test.len());

    // Labels that have nothing to do with the features: chance, and the spread of the labels.
    Random::new(6, "probe test", 0).shuffle(&mut labels.subject);
    Random::new(6, "probe test", 1).shuffle(&mut labels.azimuth);
    let findings = probe(&features, &labels, &split);
    assert!(findings.identity_error > 50.0, "{findings:?}");
    assert!(findings.azimuth_error > 1500.0, "{findings:?}");
}

/// What is measured on decides nothing: other labels there change no prediction.
#[test]
fn the_measuring_part_is_not_learned_from() {
    let (features, labels) = samples(100);
    let split = Split::random(100, 1, 0);
    let findings = probe(&features, &labels, &split);
    let mut other = labels.clone();
    for at in &split.test {
        (other.subject[*at], other.azimuth[*at]) = (9, 0.0);
    }
    let others = probe(&features, &other, &split);
    assert_eq!(findings.chosen, others.chosen);
    assert_eq!(findings.azimuth, others.azimuth);
    assert_eq!(others.identity_error, 100.0);
}

#[test]
fn features_without_variance_are_no_fault() {
    let features = Features::new(vec![0.5; 40 * 3], 3);
    let (_, labels) = samples(40);
    let findings = probe(&features, &labels, &Split::random(40, 1, 0));
    assert!(findings.identity_error > 0.0 && findings.azimuth_error.is_finite());
}

/// Against scikit-learn 1.9.1 (`SVC`, `SVR` with `gamma = 0.3 / 3`, `C` and `epsilon` as here), fitted to
/// the first 18 of 24 samples. Solvers stop at 1e-3, which is the tolerance.
#[test]
fn machines_agree_with_scikit_learn() {
    let at = |i: usize| i as f64;
    let values = (0..24).flat_map(|i| {
        [
            libm::sin(0.7 * at(i)),
            libm::cos(1.3 * at(i)),
            libm::sin(0.31 * at(i) + 1.0),
        ]
    });
    let features = Features::new(values.map(|v| v as f32).collect(), 3);
    let targets = |i: usize| 100.0 * libm::sin(0.7 * at(i)) * libm::cos(0.31 * at(i));
    let labels: Vec<u32> = (0..24).map(|i| i * i % 7 % 3).collect();
    let (train, test): (Vec<usize>, Vec<usize>) = (0..24).partition(|i| *i < 18);
    let distances = kernel::Distances::new(&features.standardised(&train));
    let radial = distances.matrix(Kernel::Rbf { gamma: 0.3 });
    let close = |machine: &svm::Machine, expected: [f64; 6]| {
        for (at, expected) in test.iter().zip(expected) {
            let value = machine.at(&radial, *at);
            assert!((value - expected).abs() < 1e-3, "{value} is not {expected}");
        }
    };
    let known = train.iter().map(|i| targets(*i)).collect();
    let regression = svm::Machine::approximate(&radial, &train, known, 100.0, 1.0);
    close(
        &regression,
        [
            28.933201, -3.180756, 8.960566, 50.881719, 57.565389, 32.098739,
        ],
    );
    let of = |label| {
        let ours = train.iter().filter(|i| labels[**i] == label);
        ours.copied().collect::<Vec<usize>>()
    };
    let separation = svm::Machine::separate(&radial, &of(2), &of(1), 10.0);
    close(
        &separation,
        [
            -0.523238, 0.174767, 0.058753, -0.743491, -0.220173, -0.361668,
        ],
    );

    let told = selection::one_against_one(&radial, &labels, &train, &test, 10.0);
    assert_eq!(told, [1, 2, 2, 1, 1, 1]);
    let linear = distances.matrix(Kernel::Linear);
    let told = selection::one_against_one(&linear, &labels, &train, &test, 10.0);
    assert_eq!(told, [1; 6]);
}
