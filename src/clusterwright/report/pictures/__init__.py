"""Pictures: records in, Vega-Lite specifications out, one module for each kind.

A picture is a plain dictionary that browsers, notebooks and files draw alike. It names no colour:
marks have styles, and scales the palette, of `clusterwright.report.pictures.theme`.
"""
