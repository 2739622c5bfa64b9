"""Counties in the order of their rain."""

from dataclasses import dataclass

from gateway.rollcall.rules.rainfall import NO_SEVERITY, Rain, by_rain, fallen


@dataclass(frozen=True)
class Told:
    centre: str
    severity: int = 3
    event_type: str = "dev.alarm"
    value: float | None = None
    unit: str | None = "mm"


def test_the_highest_reading_of_a_county_counts_and_a_warning_counts_as_what_it_warns_of():
    rain = fallen(
        [
            Told("320612", value=12.5),
            Told("320612", 2, value=62.0, unit="毫米"),
            Told("320613", 1, "11B03", unit=None),
            Told("320614", 4, "11B03", value=80.0),
            Told("320623", value=3.2, unit="m"),
            Told("320681", 1, "11B01", value=None),
        ]
    )
    assert rain == {"320612": Rain(62.0, 2), "320613": Rain(100.0, 1), "320614": Rain(80.0, 4)}
    codes = ["320612", "320613", "320614", "320623", "320681"]
    assert by_rain(codes, rain) == ["320613", "320614", "320612", "320623", "320681"]


def test_of_equal_rain_the_graver_warning_comes_first_and_then_the_order_that_was():
    rain = {"b": Rain(50.0, 3), "c": Rain(50.0, 2), "d": Rain(0.0, 4)}
    assert by_rain(["e", "b", "c", "a", "d"], rain) == ["c", "b", "d", "e", "a"]
    assert Rain().severity == NO_SEVERITY
