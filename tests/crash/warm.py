"""Imports what the API and workers load when they start, once, in the process that they are forked from."""

import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl

from fettle.central import features
from fettle.central.app import feature_routers

LOADED = (uvicorn, feature_routers(), features.consumers(), features.jobs())
