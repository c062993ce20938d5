"""As much of ROS 2's launch as our launch files use: it says which nodes would be started, with which command lines.

The real one is not among the packages that make test installs. The launch files themselves are the shipped ones.
"""

import contextlib
import pathlib
import runpy
import sys
import types

import yaml


class Value:
    """LaunchConfiguration."""

    def __init__(self, name):
        self.name = name

    def perform(self, context):
        return context[self.name]


class Argument:
    def __init__(self, name, default_value=None, description=None):
        self.name, self.default, self.description = name, default_value, description

    def visit(self, context, nodes, arguments):
        arguments.append(self)
        parts = self.default if isinstance(self.default, list) else [self.default]
        default = ''.join(part.perform(context) if isinstance(part, Value) else part for part in parts)
        context.setdefault(self.name, default)


class Function:
    def __init__(self, function):
        self.function = function

    def visit(self, context, nodes, arguments):
        for action in self.function(context):
            action.visit(context, nodes, arguments)


class Include:
    """IncludeLaunchDescription: what it gives is set where it stands, and what is set there already holds in the included file, too."""

    def __init__(self, source, launch_arguments=()):
        self.source, self.given = source, list(launch_arguments)

    def visit(self, context, nodes, arguments):
        context.update({name: value.perform(context) if isinstance(value, Value) else value for name, value in self.given})
        for action in runpy.run_path(self.source)['generate_launch_description']().actions:
            action.visit(context, nodes, [])


class Group:
    def __init__(self, actions):
        self.actions = actions

    def visit(self, context, nodes, arguments):
        for action in self.actions:
            action.visit(dict(context), nodes, arguments)


class Node:
    def __init__(self, package, executable, name=None, namespace='', output='log', parameters=(), remappings=(), arguments=(),
                 respawn=False, respawn_delay=None):
        self.__dict__.update({k: v for k, v in locals().items() if k != 'self'})

    def visit(self, context, nodes, arguments):
        nodes.append(self)

    def command_line(self, folder: pathlib.Path) -> list[str]:
        """The arguments launch_ros gives to the program; parameters that are no file are written to one in `folder`."""
        line = [*self.arguments, '--ros-args']
        if self.name:
            line += ['-r', f'__node:={self.name}']
        line += ['-r', f'__ns:=/{self.namespace.strip("/")}']
        for number, parameters in enumerate(self.parameters):
            if isinstance(parameters, dict):
                path = folder / f'launch_parameters_{number}'
                path.write_text(yaml.dump({'/**': {'ros__parameters': parameters}}))
                parameters = path
            line += ['--params-file', str(parameters)]
        for source, target in self.remappings:
            line += ['-r', f'{source}:={target}']
        return line


class Component:
    """ComposableNode."""

    def __init__(self, package, plugin, name=None, namespace='', parameters=()):
        self.__dict__.update({k: v for k, v in locals().items() if k != 'self'})


class Container(Node):
    """ComposableNodeContainer: a node that others are loaded into."""

    def __init__(self, composable_node_descriptions, **named):
        super().__init__(**named)
        self.components = composable_node_descriptions


class Description:
    def __init__(self, actions):
        self.actions = actions


@contextlib.contextmanager
def _in_place(more):
    modules = {
        'launch': {'LaunchDescription': Description},
        'launch.actions': {'DeclareLaunchArgument': Argument, 'OpaqueFunction': lambda function: Function(function),
                           'GroupAction': Group, 'IncludeLaunchDescription': Include},
        'launch.launch_description_sources': {'PythonLaunchDescriptionSource': str},
        'launch.substitutions': {'LaunchConfiguration': Value},
        'launch_ros': {},
        'launch_ros.actions': {'Node': Node, 'ComposableNodeContainer': Container},
        'launch_ros.descriptions': {'ComposableNode': Component},
    }
    for name, content in more.items():
        modules[name] = {**modules.get(name, {}), **content}
    before = {name: sys.modules.get(name) for name in modules}
    for name, content in modules.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.__setitem__(name, module)


def evaluate(path, given: dict, more: dict = {}):
    """(nodes, declared arguments) of a launch file with these arguments; `more` modules stand beside ours."""
    context, nodes, arguments = dict(given), [], []
    with _in_place(more):
        description = runpy.run_path(str(path))['generate_launch_description']()
        for action in description.actions:
            action.visit(context, nodes, arguments)
    return nodes, arguments
