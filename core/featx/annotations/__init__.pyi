from .events import Events as Events
from .events import events_from_columns as events_from_columns
from .events import hz_to_midi as hz_to_midi
from .events import midi_to_hz as midi_to_hz
from .events import printable as printable
from .reading import read_events as read_events
from .writing import write_events as write_events
