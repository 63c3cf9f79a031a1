//! The generator of the randomized scenarios: a seed is a scenario, for ever.

/// A linear congruential generator of 32 bits.
pub(crate) struct Lcg(u32);

impl Lcg {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0) / 4_294_967_296.0
    }

    /// From `low` to `high`, both of them.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() * f64::from(high - low + 1)) as u32
    }

    /// One of some.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.between(0, u32::try_from(of.len()).expect("few") - 1) as usize]
    }

    /// Puts some into another order.
    pub(crate) fn shuffle<T>(&mut self, what: &mut [T]) {
        for at in (1..what.len()).rev() {
            let other = self.between(0, u32::try_from(at).expect("few")) as usize;
            what.swap(at, other);
        }
    }
}

#[test]
fn the_generator_is_the_one_that_the_scenarios_name() {
    let mut lcg = Lcg::new(1_220);
    // 1220 * 1664525 + 1013904223, of 2^32.
    assert!((lcg.next() - 3_044_624_723.0 / 4_294_967_296.0).abs() < f64::EPSILON);
    let drawn: Vec<u32> = (0..1_000).map(|_| lcg.between(1, 3)).collect();
    assert!((1..=3).all(|wanted| drawn.contains(&wanted)) && drawn.iter().all(|got| (1..=3).contains(got)));
}
