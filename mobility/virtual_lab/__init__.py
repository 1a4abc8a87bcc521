"""A parametric body with known joint centres, rendered to video (extra ``virtual-lab``)."""
