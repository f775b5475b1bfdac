"""The toolkit of commands, for the command line of featx and for plugins that add commands to it.

Importing it costs little more than click; whatever a command needs beyond that, it imports in its
body.
"""

from __future__ import annotations

from featx.commands.completion import complete_extractor, complete_feature
from featx.commands.groups import CommandGroup, load_command, plugin_commands
from featx.commands.options import (
    gone_option,
    json_option,
    local_class,
    no_plugin_option,
    one_output,
    only_extractor,
    output_option,
    overwrite_option,
    parse_mapping,
    parse_pairs,
    parse_settings,
    parse_size,
    parse_weights,
    plugin_option,
    set_option,
    split_names,
)
from featx.commands.output import (
    column_widths,
    duration_text,
    echo_json,
    echo_json_line,
    echo_table,
    meter,
    printable,
    progress,
    size_text,
)
from featx.commands.session import (
    EXIT_DAMAGED,
    EXIT_FAILURES,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Session,
    exit_code,
    registry,
    session,
)
from featx.errors import counted
from featx.folders import replacing

__all__ = [
    "EXIT_DAMAGED",
    "EXIT_FAILURES",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "CommandGroup",
    "Session",
    "column_widths",
    "complete_extractor",
    "complete_feature",
    "counted",
    "duration_text",
    "echo_json",
    "echo_json_line",
    "echo_table",
    "exit_code",
    "gone_option",
    "json_option",
    "load_command",
    "local_class",
    "meter",
    "no_plugin_option",
    "one_output",
    "only_extractor",
    "output_option",
    "overwrite_option",
    "parse_mapping",
    "parse_pairs",
    "parse_settings",
    "parse_size",
    "parse_weights",
    "plugin_commands",
    "plugin_option",
    "printable",
    "progress",
    "registry",
    "replacing",
    "session",
    "set_option",
    "size_text",
    "split_names",
]
