"""The one part of the build that pyproject.toml cannot say without a warning: the optional C extension."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("opskit.mysql._encode", ["opskit/mysql/_encode.c"], optional=True)])
