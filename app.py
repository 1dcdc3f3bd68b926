"""Table of contents: the box's routes and its scheduled functions. No logic here."""

from chalice.app import Chalice

from chalicelib import packaging
from chalicelib.routes import observed, problems
from chalicelib.routes.batches import batches
from chalicelib.routes.beacon import beacon
from chalicelib.routes.clicks import clicks
from chalicelib.routes.conversions import conversions
from chalicelib.routes.dashboard import dashboard
from chalicelib.routes.described import described
from chalicelib.routes.postbacks import postbacks
from chalicelib.routes.public import public
from chalicelib.routes.reports import reports
from chalicelib.routes.signing import signing
from chalicelib.routes.tag import tag

packaging.refuse_mistakes()
app = Chalice(app_name="merchant-box")
observed.observe(app)
app.register_middleware(problems.uniform, "http")
app.register_blueprint(tag)
app.register_blueprint(clicks)
app.register_blueprint(beacon)
app.register_blueprint(public)
app.register_blueprint(conversions)
app.register_blueprint(batches)
app.register_blueprint(reports)
app.register_blueprint(postbacks)
app.register_blueprint(described)
app.register_blueprint(dashboard)
app.register_blueprint(signing)
