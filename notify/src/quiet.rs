//! Times of day: quiet hours and the times of digests. Knows no alert.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;
use tradewind_model::Severity;

/// When a sink is left alone: `quiet = { from = "20:00", to = "08:00", time_zone = "Europe/Berlin", below = "high" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietSettings {
    /// Begin, hours and minutes.
    pub from: String,
    /// End, hours and minutes; not after `from`: on the next day.
    pub to: String,
    /// Days on which it begins, such as `["sat", "sun"]`. Left out: all.
    #[serde(default)]
    pub days: Vec<String>,
    /// IANA name of the time zone.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Severity from which alerts go out all the same.
    #[serde(default = "high")]
    pub below: Severity,
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn high() -> Severity {
    Severity::High
}

impl QuietSettings {
    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        if let Err(message) = Quiet::new(self) {
            faults.push(format!("`quiet`: {message}"));
        }
    }
}

/// Quiet hours.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    from: Time,
    to: Time,
    days: Vec<Weekday>,
    zone: TimeZone,
    below: Severity,
}

impl Quiet {
    /// # Errors
    /// Says what cannot be read.
    pub(crate) fn new(settings: &QuietSettings) -> Result<Self, String> {
        let days: Result<Vec<Weekday>, String> = settings.days.iter().map(|day| weekday(day)).collect();
        Ok(Self {
            from: time_of_day(&settings.from)?,
            to: time_of_day(&settings.to)?,
            days: days?,
            zone: zone(&settings.time_zone)?,
            below: settings.below,
        })
    }

    /// The end of the quiet hours that this time (microseconds UTC) is in; none: it is in none, or this is too grave to wait.
    pub(crate) fn until(&self, now: i64, severity: Severity) -> Option<i64> {
        if severity >= self.below {
            return None;
        }
        let now = Timestamp::from_microsecond(now).ok()?.to_zoned(self.zone.clone());
        // Those that began today, and those that began yesterday and last until today.
        [now.date(), now.date().yesterday().ok()?].into_iter().find_map(|day| {
            if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
                return None;
            }
            let last = if self.to <= self.from { day.tomorrow().ok()? } else { day };
            let at = |time: Time, day: jiff::civil::Date| -> Option<Zoned> {
                day.to_datetime(time).to_zoned(self.zone.clone()).ok()
            };
            let (from, to) = (at(self.from, day)?, at(self.to, last)?);
            (from <= now && now < to).then(|| to.timestamp().as_microsecond())
        })
    }
}

/// Times of day at which something is due.
#[derive(Clone, Debug)]
pub(crate) struct Daily {
    times: Vec<Time>,
    zone: TimeZone,
}

/// Reads times of day; none where there are none.
///
/// # Errors
/// Says what cannot be read.
pub(crate) fn daily(times: &[String], time_zone: &str) -> Result<Option<Daily>, String> {
    let zone = zone(time_zone)?;
    let read: Result<Vec<Time>, String> = times.iter().map(|time| time_of_day(time)).collect();
    let mut times = read?;
    times.sort_unstable();
    Ok((!times.is_empty()).then_some(Daily { times, zone }))
}

impl Daily {
    /// The next time after this one (microseconds UTC).
    pub(crate) fn after(&self, now: i64) -> Option<i64> {
        let now = Timestamp::from_microsecond(now).ok()?.to_zoned(self.zone.clone());
        [now.date(), now.date().tomorrow().ok()?].into_iter().find_map(|day| {
            self.times.iter().find_map(|&time| {
                let at = day.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
                (at > now).then(|| at.timestamp().as_microsecond())
            })
        })
    }
}

fn time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| format!("`{text}` is no time of day: write it as 08:00"))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone: use an IANA name such as Europe/Berlin"))
}

fn weekday(text: &str) -> Result<Weekday, String> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    Ok(match text {
        "mon" => Monday,
        "tue" => Tuesday,
        "wed" => Wednesday,
        "thu" => Thursday,
        "fri" => Friday,
        "sat" => Saturday,
        "sun" => Sunday,
        _ => return Err(format!("`{text}` is no day: use mon, tue, wed, thu, fri, sat, sun")),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::time;

    fn quiet(from: &str, to: &str, days: &[&str], zone: &str) -> Quiet {
        Quiet::new(&QuietSettings {
            from: from.to_owned(),
            to: to.to_owned(),
            days: days.iter().map(|&day| day.to_owned()).collect(),
            time_zone: zone.to_owned(),
            below: Severity::High,
        })
        .unwrap()
    }

    #[test]
    fn quiet_hours() {
        let check = |quiet: &Quiet, now: &str, expected: Option<&str>| {
            let until = quiet.until(time::parse(now).unwrap(), Severity::Medium);
            assert_eq!(until.map(time::rfc3339).as_deref(), expected, "{now}");
        };
        let night = quiet("20:00", "08:00", &[], "UTC");
        check(&night, "2026-03-04T12:00:00Z", None);
        check(&night, "2026-03-04T20:00:00Z", Some("2026-03-05T08:00:00Z"));
        check(&night, "2026-03-05T07:59:59Z", Some("2026-03-05T08:00:00Z"));
        check(&night, "2026-03-05T08:00:00Z", None);
        // 2026-03-07 is a Saturday; what begins on Sunday lasts into Monday.
        let weekend = quiet("18:00", "09:00", &["sat", "sun"], "UTC");
        check(&weekend, "2026-03-06T19:00:00Z", None);
        check(&weekend, "2026-03-07T19:00:00Z", Some("2026-03-08T09:00:00Z"));
        check(&weekend, "2026-03-09T03:00:00Z", Some("2026-03-09T09:00:00Z"));
        check(&weekend, "2026-03-09T19:00:00Z", None);
        // The night in which the clocks of Berlin go forward (02:00 to 03:00 on 2026-03-29) is an hour shorter.
        let berlin = quiet("22:00", "06:00", &[], "Europe/Berlin");
        check(&berlin, "2026-03-28T21:30:00Z", Some("2026-03-29T04:00:00Z"));
        check(&berlin, "2026-03-29T21:30:00Z", Some("2026-03-30T04:00:00Z"));
        // The whole day.
        check(&quiet("00:00", "00:00", &[], "UTC"), "2026-03-04T12:00:00Z", Some("2026-03-05T00:00:00Z"));
    }

    #[test]
    fn what_is_grave_does_not_wait() {
        let night = quiet("20:00", "08:00", &[], "UTC");
        let now = time::parse("2026-03-04T23:00:00Z").unwrap();
        assert!(night.until(now, Severity::Medium).is_some());
        assert_eq!(night.until(now, Severity::High), None);
    }

    #[test]
    fn digests_are_due_at_their_times() {
        let times = ["18:30".to_owned(), "08:00".to_owned()];
        let daily = daily(&times, "UTC").unwrap().unwrap();
        let check = |now: &str, expected: &str| {
            let next = daily.after(time::parse(now).unwrap()).unwrap();
            assert_eq!(time::rfc3339(next), expected, "{now}");
        };
        check("2026-03-04T07:59:59Z", "2026-03-04T08:00:00Z");
        check("2026-03-04T08:00:00Z", "2026-03-04T18:30:00Z");
        check("2026-03-04T18:30:00Z", "2026-03-05T08:00:00Z");
    }

    #[test]
    fn faults_say_what_to_write() {
        assert!(time_of_day("8 o'clock").unwrap_err().contains("08:00"));
        assert!(zone("Mars/Olympus").unwrap_err().contains("IANA"));
        assert!(weekday("someday").unwrap_err().contains("mon"));
    }
}
