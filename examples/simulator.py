"""A small greenhouse that does not exist: zones that drift with the weather, devices that act.

    house = Greenhouse(seed=1)
    house.call("set_device", {"zone": "north bed", "device": "fan", "state": "on"})
    house.run(minutes=30)
    house.call("read_sensor", {"zone": "north bed", "quantity": "temperature"})

For a real greenhouse write a class with the same `call`: a name and arguments in, JSON out.
"""

import dataclasses
import math
import random

UNITS = {"temperature": "C", "humidity": "%", "soil": "%", "light": "lux", "co2": "ppm"}
WHOLE = ("light", "co2")  # readings without a decimal
STATES = {"fan": ("off", "on"), "heater": ("off", "on"), "pump": ("off", "on"),
          "lamp": ("off", "on"), "vent": ("closed", "open"), "blind": ("open", "closed")}
DAY = 24 * 60  # minutes


@dataclasses.dataclass
class Zone:
    sunny: float  # share of the sun that reaches it
    temperature: float = 19.0
    humidity: float = 60.0
    soil: float = 45.0
    light: float = 0.0
    co2: float = 500.0
    devices: dict = dataclasses.field(
        default_factory=lambda: {device: states[0] for device, states in STATES.items()})

    def acts(self, device):
        """False: it is as it was in the beginning, off, or out of the sun's way."""
        return self.devices[device] != STATES[device][0]

    def run_minute(self, outside, sun, gust):
        """`outside` in C, `sun` from 0 to 1, `gust` a little chance."""
        shade = 0.25 if self.acts("blind") else 1.0
        warmth = self.sunny * sun * shade
        air = 0.004 + 0.03 * self.acts("fan") + 0.015 * self.acts("vent")  # exchanged with outside

        self.light = 900 * warmth + 200 * self.acts("lamp")  # behind shaded glass
        self.temperature += (air * (outside - self.temperature) + 0.1 * warmth
                             + 0.08 * self.acts("heater") + 0.01 * self.acts("lamp") + 0.03 * gust)
        drying = 0.004 + 0.05 * warmth
        self.soil += 0.6 * self.acts("pump") - drying
        self.humidity += 2 * drying + 0.2 * self.acts("pump") + air * (50 - self.humidity)
        self.co2 += air * (420 - self.co2) + 0.4 - 0.0013 * self.light

        self.soil = min(max(self.soil, 0), 100)
        self.humidity = min(max(self.humidity, 5), 100)
        self.co2 = max(self.co2, 150)


class Greenhouse:
    def __init__(self, seed=1, start="06:00"):
        self.zones = {"north bed": Zone(sunny=0.5, soil=34.0), "south bench": Zone(sunny=1.0),
                      "fern house": Zone(sunny=0.7, temperature=17.0, humidity=80.0, soil=55.0)}
        self.minute = read_time(start)  # since the first midnight
        self.messages = []  # (person, message), of notify
        self._plans = []  # (minute, zone, device, state)
        self._random = random.Random(seed)

    @property
    def clock(self):
        return format_time(self.minute)

    def run(self, minutes):
        for _ in range(minutes):
            self.minute += 1
            due = [plan for plan in self._plans if plan[0] <= self.minute]
            self._plans = [plan for plan in self._plans if plan[0] > self.minute]
            for _, zone, device, state in due:
                self.zones[zone].devices[device] = state
            phase = 2 * math.pi * (self.minute % DAY) / DAY
            outside = 16 - 8 * math.cos(phase - 0.6)  # warmest after two in the afternoon
            sun = max(0.0, -math.cos(phase))
            for zone in self.zones.values():
                zone.run_minute(outside, sun, self._random.gauss(0, 1))

    def call(self, name, arguments):
        """What a tool call gives: JSON, {"error": …} where it cannot be carried out."""
        tools = {"read_sensor": self._read_sensor, "set_device": self._set_device,
                 "schedule": self._schedule, "notify": self._notify}
        try:
            one_of("tool", name, tools)
            return tools[name](**arguments)
        except ValueError as error:
            return {"error": str(error)}
        except TypeError:  # constrained decoding leaves no room for it
            return {"error": f"{name}: arguments other than those declared"}

    def readings(self, zone):
        """{quantity: value}, as the sensors show them."""
        zone = self.zones[zone]
        return {quantity: round(getattr(zone, quantity), None if quantity in WHOLE else 1)
                for quantity in UNITS}

    def _read_sensor(self, zone, quantity):
        zone = self._zone(zone)
        one_of("quantity", quantity, UNITS)
        return {"zone": zone, "quantity": quantity, "value": self.readings(zone)[quantity],
                "unit": UNITS[quantity]}

    def _set_device(self, zone, device, state):
        zone = self._zone(zone)
        one_of("device", device, STATES)
        one_of(f"state of the {device}", state, STATES[device])
        self.zones[zone].devices[device] = state
        return {"ok": True}

    def _schedule(self, zone, device, time, minutes):
        zone = self._zone(zone)
        one_of("device", device, STATES)
        if isinstance(minutes, bool) or not isinstance(minutes, int) or not 0 < minutes <= DAY:
            raise ValueError(f"minutes: {minutes} (expected a whole number from 1 to {DAY})")
        start = self.minute + ((read_time(time) - self.minute) % DAY or DAY)
        rest, act = STATES[device]
        self._plans += [(start, zone, device, act), (start + minutes, zone, device, rest)]
        return {"ok": True}

    def _notify(self, person, message):
        self.messages.append((str(person), str(message)))
        return {"ok": True}

    def _zone(self, zone):
        name = str(zone).strip().lower().removeprefix("the ")
        one_of("zone", name, self.zones)
        return name


def one_of(what, value, allowed):
    if value not in list(allowed):
        raise ValueError(f"{what}: {value} (expected {', '.join(allowed)})")


def read_time(text):
    """Minutes since midnight."""
    try:
        hour, minute = map(int, str(text).split(":"))
    except ValueError:
        hour, minute = -1, 0
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(f"time: {text} (expected one such as 06:30)")
    return 60 * hour + minute


def format_time(minute):
    return f"{minute // 60 % 24:02}:{minute % 60:02}"
