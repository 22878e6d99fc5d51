//! Sunrise and sunset: the equations of NOAA's solar calculator, after Jean Meeus, Astronomical Algorithms.
//!
//! The upper limb of the sun at the sea horizon, with the usual refraction: 90.833 degrees from the zenith. Exact to a
//! minute between the polar circles for the centuries around 2000; hills and weather are not known.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::Zone;

/// Sunrise and sunset of a day. `None` where the sun does not rise or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sun {
    /// When the sun rises.
    pub rise: Option<Timestamp>,
    /// When it sets: after the noon of the day, be it past midnight.
    pub set: Option<Timestamp>,
}

const ZENITH: f64 = 90.833;
const DAY_MINUTES: f64 = 1440.0;

/// Returns sunrise before and sunset after the noon of the day in the zone. Degrees; north and east are positive.
pub fn sun(date: Date, latitude: f64, longitude: f64, zone: &Zone) -> Sun {
    // The noon of the sun on the zone's day: the one nearest to the middle of the day on the clocks there.
    let Some(middle) = crate::clock::first_showing(zone, date.at(12, 0, 0, 0)) else { return Sun { rise: None, set: None } };
    let middle = middle.as_second() as f64 / 60.0;
    let mut noon = middle;
    for _ in 0..3 {
        let shown = noon.rem_euclid(DAY_MINUTES);
        let solar = 720.0 - 4.0 * longitude - position(noon).equation_of_time;
        let apart = (solar - shown).rem_euclid(DAY_MINUTES);
        noon += if apart > DAY_MINUTES / 2.0 { apart - DAY_MINUTES } else { apart };
    }
    Sun { rise: crossing(noon, latitude, longitude, -1.0), set: crossing(noon, latitude, longitude, 1.0) }
}

/// The instant at which the sun crosses the horizon, before (-1) or after (1) a noon. Minutes since 1970.
fn crossing(noon: f64, latitude: f64, longitude: f64, side: f64) -> Option<Timestamp> {
    let mut at = noon;
    // The sun's place is that of the crossing itself: each round comes closer by a factor of a hundred.
    for _ in 0..5 {
        let sun = position(at);
        let latitude = latitude.to_radians();
        let cosine =
            (ZENITH.to_radians().cos() - latitude.sin() * sun.declination.sin()) / (latitude.cos() * sun.declination.cos());
        if !(-1.0..=1.0).contains(&cosine) {
            return None;
        }
        let true_noon = noon_near(noon, longitude, sun.equation_of_time);
        at = true_noon + side * 4.0 * cosine.acos().to_degrees();
    }
    Timestamp::from_second((at * 60.0).round() as i64).ok()
}

/// The noon near `noon` for the equation of time at another instant of the day.
fn noon_near(noon: f64, longitude: f64, equation_of_time: f64) -> f64 {
    let solar = 720.0 - 4.0 * longitude - equation_of_time;
    let apart = (solar - noon.rem_euclid(DAY_MINUTES)).rem_euclid(DAY_MINUTES);
    noon + if apart > DAY_MINUTES / 2.0 { apart - DAY_MINUTES } else { apart }
}

struct Position {
    /// In radians.
    declination: f64,
    /// In minutes.
    equation_of_time: f64,
}

/// Where the sun stands. Minutes since 1970.
fn position(minutes: f64) -> Position {
    let julian_day = minutes / DAY_MINUTES + 2_440_587.5;
    let century = (julian_day - 2_451_545.0) / 36_525.0;
    let mean_longitude = (280.466_46 + century * (36_000.769_83 + century * 0.000_303_2)).rem_euclid(360.0).to_radians();
    let anomaly = (357.529_11 + century * (35_999.050_29 - 0.000_153_7 * century)).to_radians();
    let eccentricity = 0.016_708_634 - century * (0.000_042_037 + 0.000_000_126_7 * century);
    let center = anomaly.sin() * (1.914_602 - century * (0.004_817 + 0.000_014 * century))
        + (2.0 * anomaly).sin() * (0.019_993 - 0.000_101 * century)
        + (3.0 * anomaly).sin() * 0.000_289;
    let node = (125.04 - 1_934.136 * century).to_radians();
    let apparent = (mean_longitude.to_degrees() + center - 0.005_69 - 0.004_78 * node.sin()).to_radians();
    let seconds = 21.448 - century * (46.815 + century * (0.000_59 - century * 0.001_813));
    let obliquity = (23.0 + (26.0 + seconds / 60.0) / 60.0 + 0.002_56 * node.cos()).to_radians();
    let y = (obliquity / 2.0).tan().powi(2);
    let equation = y * (2.0 * mean_longitude).sin() - 2.0 * eccentricity * anomaly.sin()
        + 4.0 * eccentricity * y * anomaly.sin() * (2.0 * mean_longitude).cos()
        - 0.5 * y * y * (4.0 * mean_longitude).sin()
        - 1.25 * eccentricity * eccentricity * (2.0 * anomaly).sin();
    Position { declination: (obliquity.sin() * apparent.sin()).asin(), equation_of_time: 4.0 * equation.to_degrees() }
}
